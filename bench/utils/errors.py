"""Errors of a user's input, each one line of text."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Bad input. One line says what is wrong and what to do; the command prints it and exits with 2."""


def in_a_line(error: BaseException, most: int = 200) -> str:
    """``ValueError: no luck``: the type of an error and the first ``most`` characters of its message."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:most]}".removesuffix(": ")


def unknown(kind: str, name: str, names: Iterable[str]) -> UserError:
    """An error for a ``name`` of some ``kind`` that is not among ``names``; it suggests the most similar ones."""
    names = sorted(names)
    similar = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(similar)}?" if similar else f"known: {', '.join(names)}"
    return UserError(f"unknown {kind} {name!r}; {hint}")
