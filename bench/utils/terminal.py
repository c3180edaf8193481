"""Standard output and standard error as they are: of any encoding, closed early, or not there at all."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import TextIO

PLAIN = {
    "×": "x",
    "·": "*",
    "−": "-",
    "–": "-",
    "—": "-",
    "…": "...",
    "‖": "||",
    "≤": "<=",
    "≥": ">=",
    "→": "->",
    "←": "<-",
    "≈": "~",
    "²": "^2",
    "’": "'",
    "ℓ": "l",
    "⟨": "<",
    "⟩": ">",
    "σ": "sigma",
    "θ": "theta",
    "λ": "lambda",
    "τ": "tau",
    "μ": "mu",
    "Λ": "Lambda",
    "ᵀ": "^T",
}
"""What the project prints, in letters that every terminal has."""
PIPE_CLOSED = 141
"""As a shell calls a command that was ended by SIGPIPE."""


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """What an encoding has no letter for, in letters that it has; half of a name that is no UTF-8 as its bytes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(PLAIN.get(c) or _escaped(c) for c in letters), error.end


def _escaped(letter: str) -> str:
    return letter.encode("ascii", "backslashreplace").decode()


codecs.register_error("eqgrad.spelled", _spelled)


def spell() -> None:
    """Let nothing that is printed fail for want of a letter."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="eqgrad.spelled")


def printed_json(text: str) -> str:
    """JSON that standard output can take: the same where it has all the letters, else with ``\\\\u`` escapes.

    Letters outside ASCII stand within strings only, where the two mean the same.
    """
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return "".join(c if c.isascii() else json.dumps(c)[1:-1] for c in text)
    return text


def width(stream: TextIO | None) -> int | None:
    """Letters in a line of a table; ``None`` for those of the terminal."""
    return None if stream is not None and stream.isatty() else 160


@contextmanager
def aside() -> Generator[None]:
    """What a user's own file prints in here goes to standard error: standard output is for results."""
    if sys.stderr is None:  # closed
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
            yield
    else:
        with redirect_stdout(sys.stderr):
            yield


def flush() -> None:
    """Write out what is buffered. Raises ``BrokenPipeError`` where nobody reads it any more."""
    if sys.stdout is not None:
        sys.stdout.flush()


def abandon() -> None:
    """Nobody reads standard output any more: the interpreter shall not complain of it at its end."""
    with suppress(OSError, ValueError, AttributeError):
        if sys.stdout.fileno() == 1:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
