"""Mutation testing: patch real code with a wrong version, and see which claims notice.

A check that no wrong implementation can fail is worthless. Mutants are applied in the running process, one at a time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from unittest.mock import patch

from bench.utils.errors import in_a_line

from .claim import OUTDATED_CHECK_ERRORS

Patch = tuple[object, str, object]
"""The owner of an attribute, the name of the attribute, and its wrong value."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A wrong implementation.

    Attributes:
        name: the mistake, in words.
        patches: the attributes that are replaced.
        claims: ids of the claims that are expected to notice; ``real C1`` is C1 on the operators of the benchmark.
    """

    name: str
    patches: tuple[Patch, ...]
    claims: tuple[str, ...]


def mutant(name: str, owner: object, attribute: str, wrong: object, *claims: str) -> Mutant:
    """A mutant with ``wrong`` in place of ``owner.attribute``, which ``claims`` are expected to notice."""
    return Mutant(name, ((owner, attribute, wrong),), claims)


@contextmanager
def mutant_applied(mutant: Mutant) -> Generator[None]:
    """Replace the right code by the mutant for as long as the context is open."""
    with ExitStack() as stack:
        # Results cached from the right code would make the mutant look wrong for the wrong reason, and vice versa.
        _clear_caches()
        stack.callback(_clear_caches)
        for owner, name, wrong in mutant.patches:
            stack.enter_context(patch.object(owner, name, wrong))
        yield


def _clear_caches() -> None:
    """Clear every ``functools`` cache at the top level of a module of ``theory_checks``."""
    for name, module in list(sys.modules.items()):
        if name.startswith("theory_checks."):
            for value in vars(module).values():
                if callable(getattr(value, "cache_clear", None)):
                    value.cache_clear()


@dataclass(frozen=True, slots=True)
class MutationResult:
    """Which claims noticed a mutant.

    Attributes:
        name: name of the mutant.
        caught: id of each claim that noticed, and its counter-example; empty if the mutant survived.
        seconds: wall-clock time.
    """

    name: str
    caught: dict[str, str]
    seconds: float


def run_mutant(
    mutant: Mutant, find_failure: Callable[[str], str], other_claims: Iterable[str]
) -> MutationResult:
    """Check the claims that are expected to notice a mutant; if none does, all others until one does.

    Args:
        mutant: the wrong code.
        find_failure: returns why the claim with an id fails now, or an empty text. An exception counts as a failure.
        other_claims: ids of the claims to try if no expected one notices.

    Raises:
        AttributeError, NameError, TypeError: the mutant no longer fits the code, and proves nothing.
    """
    begin = time.perf_counter()
    caught: dict[str, str] = {}
    with mutant_applied(mutant):
        for name in (*mutant.claims, *(n for n in other_claims if n not in mutant.claims)):
            if caught and name not in mutant.claims:
                break
            try:
                failure = find_failure(name)
            except OUTDATED_CHECK_ERRORS:
                raise
            except Exception as error:
                failure = in_a_line(error)
            if failure:
                caught[name] = failure
    return MutationResult(mutant.name, caught, time.perf_counter() - begin)
