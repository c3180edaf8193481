"""Tables, figures and pages of verdicts."""

from .claim_tables import verdicts_json, write_verdicts
from .docs_pages import write_pages
from .experiment_tables import write_group
from .junit import writable_file, write_junit

__all__ = ["verdicts_json", "writable_file", "write_group", "write_junit", "write_pages", "write_verdicts"]
