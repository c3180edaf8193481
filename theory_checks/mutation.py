"""Wrong code, made on purpose: patches of the real code, each of which some claim must turn red.

A check that no wrong implementation can fail is worth nothing. Every patch is applied in process, one at a time, for as
long as its context is open.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from unittest.mock import patch

from bench.errors import in_a_line

from .claim import OF_THE_CHECK

Patch = tuple[object, str, object]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A wrong implementation.

    Attributes:
        name: what is wrong, in words.
        patches: what is replaced: owner, attribute, and the wrong thing.
        claims: those expected to notice, tried first.
    """

    name: str
    patches: tuple[Patch, ...]
    claims: tuple[str, ...]


@contextmanager
def applied(mutant: Mutant) -> Generator[None]:
    """The code with the mutant in it; as it was when the context ends."""
    with ExitStack() as stack:
        # What the right code computed would make a wrong one look wrong for the wrong reason.
        _forget()
        stack.callback(_forget)
        for owner, name, wrong in mutant.patches:
            stack.enter_context(patch.object(owner, name, wrong))
        yield


def _forget() -> None:
    """Empty every cache of this package."""
    for name, module in list(sys.modules.items()):
        if name.startswith(__package__ or "theory_checks"):
            for value in vars(module).values():
                if callable(getattr(value, "cache_clear", None)):
                    value.cache_clear()


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a mutant: the claims that caught it, with the example; empty if it survived."""

    name: str
    caught: dict[str, str]
    seconds: float


def hunt(mutant: Mutant, red: Callable[[str], str], others: Iterable[str]) -> Fate:
    """Run the claims expected to notice a mutant, and if none does, all ``others`` until one does.

    Args:
        red: why the claim of that name is red now, or nothing. An exception is as loud as a counter-example.

    Raises:
        AttributeError, NameError, TypeError: the mutant itself is out of date, and proves nothing.
    """
    begin = time.perf_counter()
    caught: dict[str, str] = {}
    with applied(mutant):
        for name in (*mutant.claims, *(n for n in others if n not in mutant.claims)):
            if caught and name not in mutant.claims:
                break
            try:
                found = red(name)
            except OF_THE_CHECK:
                raise
            except Exception as error:
                found = in_a_line(error)
            if found:
                caught[name] = found
    return Fate(mutant.name, caught, time.perf_counter() - begin)
