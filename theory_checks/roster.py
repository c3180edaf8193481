"""What ``--claims`` can name: the claims of the core, the experiments of the companions, and their groups."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from bench.errors import UserError, unknown

from . import mutants, mutants_certificates, mutants_operators, mutants_solvers, real
from .claim import Claim
from .claims import ROSTER
from .companions import GROUPS
from .group import Group
from .judge import judge
from .mutation import Fate, Mutant, hunt
from .verify import Verdict, counter_example

MUTANTS: tuple[Mutant, ...] = tuple(
    mutant
    for module in (mutants, mutants_solvers, mutants_certificates, mutants_operators)
    for mutant in module.MUTANTS
)
"""Of the core."""
BOUNDS, COMPANIONS = "bounds", "companions"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The claims of the core and the groups, each with the experiments that were named."""

    claims: tuple[Claim, ...]
    groups: tuple[Group[Any], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The ids, in order."""
        return (
            *(claim.id for claim in self.claims),
            *(experiment.id for group in self.groups for experiment in group.experiments),
        )

    @property
    def mutants(self) -> tuple[Mutant, ...]:
        """Wrong code that one of them is expected to notice."""
        known = (*MUTANTS, *(mutant for group in GROUPS for mutant in group.mutants))
        # A claim on the operators of the benchmark is that claim.
        return tuple(m for m in known if {c.removeprefix("real ") for c in m.claims} & set(self.names))


def complete(group: Group[Any]) -> bool:
    """Whether all experiments of a group were named."""
    return any(
        group.name == known.name and len(group.experiments) == len(known.experiments) for known in GROUPS
    )


def choose(text: str | None) -> Chosen:
    """What the comma-separated names stand for; ``None`` is the core.

    Raises:
        UserError: a name is unknown, or there is none.
    """
    sets = {
        BOUNDS: tuple(ROSTER),
        COMPANIONS: tuple(e.id for group in GROUPS for e in group.experiments),
        **{group.name: tuple(e.id for e in group.experiments) for group in GROUPS},
    }
    known = [*sets, *sets[BOUNDS], *sets[COMPANIONS]]
    named = [name.strip() for name in (text if text is not None else BOUNDS).split(",") if name.strip()]
    for name in named:
        if name not in known:
            raise unknown("claim", name, known)
    if not named:
        raise UserError("--claims names no claim: give e.g. C4,C6 or companions")
    # Each once, in the order they were named.
    ids = dict.fromkeys(identity for name in named for identity in sets.get(name, (name,)))
    groups = (
        replace(group, experiments=tuple(e for e in group.experiments if e.id in ids)) for group in GROUPS
    )
    return Chosen(
        tuple(ROSTER[identity] for identity in ids if identity in ROSTER),
        tuple(group for group in groups if group.experiments),
    )


def fate_of(mutant: Mutant, examples: int = 100) -> Fate:
    """Break the code in one way, and see which of the claims expected to notice do."""
    group = next((group for group in GROUPS if mutant in group.mutants), None)
    if group is None:
        return hunt(mutant, lambda name: _red(name, examples), ROSTER)
    by_id = {experiment.id: experiment for experiment in group.experiments}
    return hunt(mutant, lambda name: _failing(judge(by_id[name], group.small)), by_id)


def _red(name: str, examples: int) -> str:
    """Why a claim of the core is red, or nothing."""
    if not name.startswith("real "):
        return counter_example(ROSTER[name], examples)
    claim = name.removeprefix("real ")
    red = (v for v in (real.check(claim, task) for task in real.matrix()) if v.verdict == "FAILS")
    first = next(red, None)
    return f"{first.of}: {first.reason}" if first else ""


def _failing(verdict: Verdict) -> str:
    return verdict.detail if verdict.verdict == "FAILS" else ""
