"""Select claims, experiments and mutants by the names that ``--claims`` takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from bench.utils.errors import UserError, unknown

from .claims import CLAIMS
from .companions import GROUPS
from .engine import Claim, ExperimentGroup, Mutant, MutationResult, Verdict, run_experiment, run_mutant
from .engine.claim_runner import counter_example
from .engine.verdict import FAILS
from .mutants import MUTANTS
from .operators import benchmark_operator

BOUNDS, COMPANIONS = "bounds", "companions"
"""Names of all claims of the core, and of all experiments."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The selected claims and experiments.

    Attributes:
        claims: claims of the core.
        groups: groups of experiments, each with the selected experiments only.
    """

    claims: tuple[Claim, ...]
    groups: tuple[ExperimentGroup[Any], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Ids of the claims and the experiments, in order."""
        return (
            *(claim.id for claim in self.claims),
            *(experiment.id for group in self.groups for experiment in group.experiments),
        )

    @property
    def mutants(self) -> tuple[Mutant, ...]:
        """Mutants that at least one selected claim or experiment is expected to notice."""
        mutants = (*MUTANTS, *(mutant for group in GROUPS for mutant in group.mutants))
        return tuple(m for m in mutants if {c.removeprefix(REAL) for c in m.claims} & set(self.names))


REAL = "real "
"""Prefix of a claim that is checked on the operators of the benchmark, in the claims of a mutant."""


def is_whole_group(group: ExperimentGroup[Any]) -> bool:
    """Whether all experiments of the group were selected."""
    return any(
        group.name == whole.name and len(group.experiments) == len(whole.experiments) for whole in GROUPS
    )


def select_claims(text: str | None) -> Selection:
    """Select by comma-separated ids and group names; ``None`` selects all claims of the core.

    Raises:
        UserError: a name is unknown, or there is none.
    """
    groups = {
        BOUNDS: tuple(CLAIMS),
        COMPANIONS: tuple(e.id for group in GROUPS for e in group.experiments),
        **{group.name: tuple(e.id for e in group.experiments) for group in GROUPS},
    }
    choices = [*groups, *groups[BOUNDS], *groups[COMPANIONS]]
    names = [name.strip() for name in (text if text is not None else BOUNDS).split(",") if name.strip()]
    for name in names:
        if name not in choices:
            raise unknown("claim", name, choices)
    if not names:
        raise UserError("--claims names no claim: give e.g. C4,C6 or companions")
    # Each id once, in the order of the names.
    ids = dict.fromkeys(identity for name in names for identity in groups.get(name, (name,)))
    selected = (
        replace(group, experiments=tuple(e for e in group.experiments if e.id in ids)) for group in GROUPS
    )
    return Selection(
        tuple(CLAIMS[identity] for identity in ids if identity in CLAIMS),
        tuple(group for group in selected if group.experiments),
    )


def check_mutant(mutant: Mutant, examples: int = 100) -> MutationResult:
    """Apply a mutant, and see which of the claims or experiments that are expected to notice it do.

    Args:
        mutant: a mutant of the core, or of a group of experiments.
        examples: number of examples for each claim of the core.
    """
    group = next((group for group in GROUPS if mutant in group.mutants), None)
    if group is None:
        return run_mutant(mutant, lambda name: _claim_failure(name, examples), CLAIMS)
    experiments = {experiment.id: experiment for experiment in group.experiments}
    return run_mutant(
        mutant, lambda name: _verdict_failure(run_experiment(experiments[name], group.small)), experiments
    )


def _claim_failure(name: str, examples: int) -> str:
    """Why a claim of the core fails, or an empty text."""
    if not name.startswith(REAL):
        return counter_example(CLAIMS[name], examples)
    for task in benchmark_operator.benchmark_tasks():
        check = benchmark_operator.check_claim_on_task(name.removeprefix(REAL), task)
        if check.verdict == FAILS:
            return f"{check.of}: {check.reason}"
    return ""


def _verdict_failure(verdict: Verdict) -> str:
    return verdict.detail if verdict.verdict == FAILS else ""
