"""Mutants that replace a single function, class or constant."""

from __future__ import annotations

from ..engine import Mutant


def mutant(name: str, owner: object, attribute: str, wrong: object, *claims: str) -> Mutant:
    """The mutant in which ``wrong`` stands for ``owner.attribute``, and which ``claims`` are expected to catch."""
    return Mutant(name, ((owner, attribute, wrong),), claims)
