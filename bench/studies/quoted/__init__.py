"""Numbers that README and docs quote from committed records: written by a command, and held by a test."""

from .pages import problems, rewritten, write_quoted_pages

__all__ = ["problems", "rewritten", "write_quoted_pages"]
