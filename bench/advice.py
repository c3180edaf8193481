"""Which estimator, which depth? Answers from the tidy table, under a limit on the tape."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

import pandas as pd

from .pareto import COSTS, Cost

WORK = COSTS[0]
WITHIN = 0.01
"""Relative error of the gradient that is asked for, unless one says otherwise."""
ALIKE = 0.01
"""dB that the tables do not tell apart."""


@dataclass(frozen=True, slots=True)
class Option:
    """A solver on a task of a size that ended well on every seed: means over its seeds, NaN where not measured.

    Attributes:
        heading, solver, family, peer: as in ``frame.tidy``.
        seeds: those that it ran on.
        error: of its gradient at the initial parameters, relative.
        applications, vjps: of a training step; ``recorded`` of the applications are on the tape.
        step_ms, saved_mib: milliseconds and MiB of tape of a training step.
        psnr: as trained, in dB.
        at_equilibrium: PSNR at the equilibrium of each seed, in dB.
    """

    heading: str
    solver: str
    family: str
    peer: bool
    seeds: tuple[int, ...]
    error: float
    applications: float
    vjps: float
    recorded: float
    step_ms: float
    saved_mib: float
    psnr: float
    at_equilibrium: tuple[float, ...]

    @property
    def work(self) -> float:
        """Applications + VJPs of a training step."""
        return self.applications + self.vjps

    @property
    def psnr_equilibrium(self) -> float:
        """Mean over the seeds; NaN if one of them has none."""
        return mean(self.at_equilibrium)

    def cost(self, cost: Cost) -> float:
        """What a training step costs; infinite where that was not measured, so that it never comes first."""
        value = getattr(self, cost.name)
        return math.inf if math.isnan(value) else value

    @property
    def tape(self) -> float:
        """MiB of tape; infinite where that was not measured, so that it fits only without a limit."""
        return math.inf if math.isnan(self.saved_mib) else self.saved_mib


@dataclass(frozen=True, slots=True)
class Best:
    """The solver with the best PSNR at equilibrium.

    Attributes:
        option: the cheapest of those that tie.
        top: that with the highest mean; the same as ``option`` where there is no tie.
        ties: how many solvers tie with ``top``, itself not counted.
    """

    option: Option
    top: Option
    ties: int


def options(frame: pd.DataFrame) -> list[Option]:
    """The solvers that ended well on every seed, by heading and solver in the order of ``frame`` (``frame.tidy``)."""
    names = ["hypergradient_error", "applications", "vjps", "recorded", "step_ms", "saved_mib", "psnr"]
    found = []
    for (heading, solver), group in frame.groupby(["heading", "solver"], sort=False):
        if not all(status == "ok" for status in group["status"]):
            continue
        # In the order of the seeds, whatever the order of the records: seeds are compared one with another.
        group = group.sort_values("seed", kind="stable")
        means = {name: float(group[name].mean(skipna=False)) for name in names}
        found.append(
            Option(
                heading=str(heading),
                solver=str(solver),
                family=str(group["family"].iloc[0]),
                peer=bool(group["peer"].iloc[0]),
                seeds=tuple(int(seed) for seed in group["seed"]),
                error=means["hypergradient_error"],
                applications=means["applications"],
                vjps=means["vjps"],
                recorded=means["recorded"],
                step_ms=means["step_ms"],
                saved_mib=means["saved_mib"],
                psnr=means["psnr"],
                at_equilibrium=tuple(float(value) for value in group["psnr_equilibrium"]),
            )
        )
    return found


def by_heading(choices: Iterable[Option]) -> dict[str, list[Option]]:
    """The options of each heading, in their order."""
    found: dict[str, list[Option]] = {}
    for choice in choices:
        found.setdefault(choice.heading, []).append(choice)
    return found


def cheapest(
    choices: Sequence[Option], within: float = WITHIN, memory: float = math.inf, cost: Cost = WORK
) -> Option | None:
    """The cheapest training step whose gradient is within ``within`` of the exact one.

    Args:
        choices: those of one heading.
        within: relative error that is allowed.
        memory: MiB that the tape may take.
        cost: what is counted. Of steps that cost the same the one with the smaller tape is taken, then the first.

    Returns:
        ``None`` if no solver is that exact, with a tape that fits and a cost that was measured.
    """
    exact = [o for o in choices if o.error <= within and o.tape <= memory and o.cost(cost) < math.inf]
    return _cheapest(exact, cost) if exact else None


def best(choices: Sequence[Option], memory: float = math.inf, cost: Cost = WORK) -> Best | None:
    """The best PSNR at equilibrium, and of a tie the cheapest.

    Seeds are other crops and other noise, so solvers are compared seed by seed: one ties with the best mean when
    it lies behind by no more than the standard deviation of that difference over the seeds, or by less than 0.01 dB.

    Args:
        choices: those of one heading.
        memory: MiB that the tape may take.
        cost: of a training step, for ties.

    Returns:
        ``None`` if no solver with a tape that fits reached an equilibrium on each of its seeds.
    """
    known = [o for o in choices if o.tape <= memory and math.isfinite(o.psnr_equilibrium)]
    if not known:
        return None
    top = max(known, key=lambda o: o.psnr_equilibrium)
    tied = [o for o in known if o is top or _ties(o, top)]
    return Best(_cheapest(tied, cost), top, len(tied) - 1)


def _cheapest(choices: Sequence[Option], cost: Cost) -> Option:
    return min(choices, key=lambda o: (o.cost(cost), o.tape))


def _ties(choice: Option, top: Option) -> bool:
    if choice.seeds != top.seeds:
        return False
    behind = [a - b for a, b in zip(top.at_equilibrium, choice.at_equilibrium, strict=True)]
    spread = stdev(behind) if len(behind) > 1 else 0.0
    return mean(behind) <= max(spread, ALIKE)


def stops(choices: Iterable[Option]) -> list[float]:
    """Limits on the tape to choose from, in MiB: 1, 1.5, 2, 3, 4, 6, … from the smallest tape up; no limit last."""
    tapes = [o.tape for o in choices if o.tape < math.inf]
    found: list[float] = []
    if tapes and max(tapes) > 0:
        low = math.floor(math.log2(max(min(tapes), max(tapes) / 2**20)))
        high = math.ceil(math.log2(max(tapes)))
        steps = [part * 2.0**power for power in range(low, high + 1) for part in (1, 1.5)]
        # The first lets something through, and the last that says anything keeps something out.
        found = [step for step in steps if min(tapes) <= step < max(tapes)]
    return [*found, math.inf]
