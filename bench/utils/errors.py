"""The one error that a user sees as a line of text."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Bad input: what is wrong and what to do, in one line. The command prints it and exits with 2."""


def in_a_line(error: BaseException, most: int = 200) -> str:
    """``ValueError: no luck``: what kind of error it is and the first ``most`` characters of what it says."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:most]}".removesuffix(": ")


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """An error for a name that is not on offer, with the nearest ones that are."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
    return UserError(f"unknown {kind} {name!r}; {hint}")
