"""Standard output and standard error, whatever their encoding, also closed early or missing."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path

PIPE_CLOSED = 141
"""Exit code of a command that SIGPIPE ended, by the convention of shells."""
REPLACEMENTS = (
    "× x, · *, − -, – -, — -, … ..., ‖ ||, ≤ <=, ≥ >=, → ->, ← <-, ≈ ~, ² ^2, ’ ', ℓ l, ⟨ <, ⟩ >, "
    "σ sigma, θ theta, λ lambda, τ tau, μ mu, Λ Lambda, ᵀ ^T"
)
ASCII = {pair[0]: pair[2:] for pair in REPLACEMENTS.split(", ")}
"""Replacements for the letters that the project prints and an encoding may lack."""


def _replace(error: UnicodeError) -> tuple[str, int]:
    """A codec error handler: ``ASCII``, or a backslash escape for any other letter."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(ASCII.get(c) or c.encode("ascii", "backslashreplace").decode() for c in letters), error.end


codecs.register_error("eqgrad.ascii", _replace)


def replace_unencodable() -> None:
    """Print ASCII replacements, instead of raising, for letters that the terminal's encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="eqgrad.ascii")


def printed_json(text: str) -> str:
    """JSON for standard output: unchanged if its encoding has every letter, otherwise with ``\\\\u`` escapes.

    A letter outside ASCII can only stand inside a string of JSON, where its escape means the same.
    """
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return "".join(c if c.isascii() else json.dumps(c)[1:-1] for c in text)
    return text


@contextmanager
def stdout_to_stderr() -> Generator[None]:
    """Send the prints of a user's file to standard error: standard output is for results."""
    if sys.stderr is None:  # closed
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
            yield
    else:
        with redirect_stdout(sys.stderr):
            yield


def discard_stdout() -> None:
    """Redirect standard output to nowhere, so that the interpreter does not report a closed pipe at exit."""
    with suppress(OSError, ValueError, AttributeError):
        if sys.stdout.fileno() == 1:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
