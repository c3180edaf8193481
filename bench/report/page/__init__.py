"""One HTML page of a run, self-contained: it needs neither a network nor a server."""

from .page import write_page
from .render import render

__all__ = ["render", "write_page"]
