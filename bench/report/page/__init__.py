"""One HTML page of a run, self-contained: it needs neither a network nor a server."""

from .page import render_page
from .render import render

__all__ = ["render", "render_page"]
