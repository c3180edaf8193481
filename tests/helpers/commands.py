"""Commands that are refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from bench.__main__ import entry


def refused(
    capsys: pytest.CaptureFixture[str],
    words: Sequence[str],
    code: int = 2,
    run: Callable[[list[str]], int] = entry,
) -> str:
    """Run a command that ends with ``code`` and prints one line to standard error only; return that line."""
    assert run(list(words)) == code
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert printed.out == ""
    return line
