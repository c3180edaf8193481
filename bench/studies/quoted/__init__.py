"""Numbers that README and docs quote from the committed references: written by a command, checked by a test."""

from .pages import problems, rewritten, write_quoted_pages

__all__ = ["problems", "rewritten", "write_quoted_pages"]
