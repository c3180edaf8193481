"""Chromium, to open the site."""

from tests.helpers.browser import browser, opened

__all__ = ["browser", "opened"]
