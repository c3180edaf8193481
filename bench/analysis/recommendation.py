"""Which estimator, which depth? Answers from the tidy table, under a limit on the tape."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

import pandas as pd

from ..measurement.equilibrium import SAME
from .over_seeds import column, largest, smallest
from .pareto import COSTS, CostAxis

WORK = COSTS[0]
WITHIN = 0.01
"""Relative error of the gradient that is asked for, unless one says otherwise."""
ALIKE = 0.01
"""dB that the tables do not tell apart."""
LOSS_ALIKE = 0.01
"""Relative difference of training losses that is called none."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A solver on a task of a size that ended well on every seed: means over its seeds, NaN where not measured.

    Attributes:
        heading, solver, family, peer: as in ``frame.tidy``.
        seeds: those that it ran on.
        error: of its gradient at the initial parameters, relative: the largest over seeds and draws.
        error_least: the smallest of them.
        applications, vjps: of a training step; ``recorded`` of the applications are on the tape.
        step_ms, saved_mib: milliseconds and MiB of tape of a training step.
        psnr: of the test images as trained, in dB.
        at_equilibrium: PSNR of the test images at the equilibrium of each seed, in dB; shown, and never chosen by.
        loss: training loss at the equilibrium of each seed.
        validation: PSNR of the validation images at the equilibrium of each seed, in dB.
        stays: plain iteration stays at the equilibrium, on every seed.
        residual: of the equilibrium, the largest over seeds.
        far: PSNR of the test images at 10 times the trained depth, in dB; minus infinity where a seed diverged.
    """

    heading: str
    solver: str
    family: str
    peer: bool
    seeds: tuple[int, ...]
    error: float
    error_least: float
    applications: float
    vjps: float
    taped_applications: float
    step_ms: float
    saved_mib: float
    psnr: float
    at_equilibrium: tuple[float, ...]
    loss: tuple[float, ...]
    validation: tuple[tuple[float, ...], ...]
    stays: bool
    residual: float
    far: float

    @property
    def work(self) -> float:
        """Applications + VJPs of a training step."""
        return self.applications + self.vjps

    @property
    def psnr_equilibrium(self) -> float:
        """Mean over the seeds; NaN if one of them has none."""
        return mean(self.at_equilibrium)

    @property
    def training_loss(self) -> float:
        """At the equilibrium, the mean over the seeds; NaN if one of them has none."""
        return mean(self.loss)

    @property
    def psnr_validation(self) -> float:
        """At the equilibrium, the mean over images and seeds; NaN if one has none."""
        every = [value for seed in self.validation for value in seed]
        return mean(every) if every and all(self.validation) else math.nan

    @property
    def settled(self) -> bool:
        """It has an equilibrium on every seed, and plain iteration stays there."""
        return math.isfinite(self.psnr_equilibrium) and self.stays

    def cost(self, cost: CostAxis) -> float:
        """What a training step costs; infinite where that was not measured, so that it never comes first."""
        value = getattr(self, cost.name)
        return math.inf if math.isnan(value) else value

    @property
    def tape(self) -> float:
        """MiB of tape; infinite where that was not measured, so that it fits only without a limit."""
        return math.inf if math.isnan(self.saved_mib) else self.saved_mib


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The solver whose operator is the best trained at its equilibrium.

    Attributes:
        option: the cheapest of those that tie.
        top: that with the lowest mean training loss; the same as ``option`` where there is no tie.
        ties: how many solvers tie with ``option``, itself not counted.
        images: validation images, over all seeds, that their PSNRs were compared on; 0 for none.
        higher: a solver that does not tie, with a validation PSNR higher by more than chance; or ``None``.
    """

    option: Candidate
    top: Candidate
    ties: int
    images: int
    higher: Candidate | None


def options(frame: pd.DataFrame) -> list[Candidate]:
    """The solvers that ended well on every seed of their task, by heading and solver, in the order of ``frame``."""
    names = ["applications", "vjps", "recorded", "step_ms", "saved_mib", "psnr", "psnr_10"]
    seeds = {heading: set(part["seed"]) for heading, part in frame.groupby("heading", sort=False)}
    found = []
    for (heading, solver), group in frame.groupby(["heading", "solver"], sort=False):
        if not all(status == "ok" for status in group["status"]) or set(group["seed"]) != seeds[heading]:
            continue
        # In the order of the seeds, whatever the order of the records: seeds are compared one with another.
        group = group.sort_values("seed", kind="stable")
        means = {name: float(column(group, name).mean(skipna=False)) for name in names}
        found.append(
            Candidate(
                heading=str(heading),
                solver=str(solver),
                family=str(group["family"].iloc[0]),
                peer=bool(group["peer"].iloc[0]),
                seeds=tuple(int(seed) for seed in group["seed"]),
                error=largest(group),
                error_least=smallest(group),
                applications=means["applications"],
                vjps=means["vjps"],
                taped_applications=means["recorded"],
                step_ms=means["step_ms"],
                saved_mib=means["saved_mib"],
                psnr=means["psnr"],
                at_equilibrium=tuple(float(value) for value in group["psnr_equilibrium"]),
                loss=tuple(float(value) for value in column(group, "training_loss_equilibrium")),
                validation=_validation(group),
                stays=all(_stays(row) for row in group.to_dict("records")),
                residual=float(column(group, "equilibrium_residual").max(skipna=False)),
                far=means["psnr_10"],
            )
        )
    return found


def _validation(group: pd.DataFrame) -> tuple[tuple[float, ...], ...]:
    """Of each seed the PSNRs of its images; where there is a mean alone, that."""
    if "psnr_validation_images" in group:
        every = [list(map(float, seed)) for seed in group["psnr_validation_images"]]
        known = column(group, "psnr_validation_equilibrium").map(math.isfinite)
        return tuple(tuple(seed) if told else () for seed, told in zip(every, known, strict=True))
    means = [float(value) for value in column(group, "psnr_validation_equilibrium")]
    return tuple(() if math.isnan(value) else (value,) for value in means)


def _stays(row: dict[str, float]) -> bool:
    """Whether plain iteration stays at the equilibrium; of older records, whether it was seen to end there."""
    told = row.get("equilibrium_stays", math.nan)
    if not math.isnan(told):
        return bool(told)
    if row.get("contraction", math.nan) < 1:
        return True
    ends = [row.get(name, math.nan) for name in ("psnr_100", "psnr_10")]
    seen = [value for value in ends if not math.isnan(value)]
    return bool(seen) and abs(seen[0] - row["psnr_equilibrium"]) <= SAME


def by_heading(choices: Iterable[Candidate]) -> dict[str, list[Candidate]]:
    """The options of each heading, in their order."""
    found: dict[str, list[Candidate]] = {}
    for choice in choices:
        found.setdefault(choice.heading, []).append(choice)
    return found


def cheapest_setting(
    choices: Sequence[Candidate], within: float = WITHIN, memory: float = math.inf, cost: CostAxis = WORK
) -> Candidate | None:
    """The cheapest training step whose gradient is within ``within`` of the exact one, on every seed and draw.

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


def best(
    choices: Sequence[Candidate], memory: float = math.inf, cost: CostAxis = WORK
) -> Recommendation | None:
    """The operator that is the best trained at its equilibrium, and of a tie the cheapest.

    Chosen by the training loss at the equilibrium, which is what every solver minimises, and never by the test
    images: a few crops that differ from those of the training rank that difference, not the solvers. Seeds are other
    crops and other noise, so solvers are compared seed by seed: one ties with the lowest mean loss when it lies above
    by no more than the standard deviation of that difference over the seeds, or by less than 1 %; but not when it lies
    above by more than 1 % on every seed. Of those that tie, the ones whose PSNR on the validation images is lower by
    more than chance are left out, image by image.

    Args:
        choices: those of one heading.
        memory: MiB that the tape may take.
        cost: of a training step, for ties.

    Returns:
        ``None`` if no solver with a tape that fits reached an equilibrium on each of its seeds where plain iteration
        stays, or if its training loss there was not recorded.
    """
    known = [o for o in choices if o.tape <= memory and o.settled and math.isfinite(o.training_loss)]
    if not known:
        return None
    top = min(known, key=lambda o: o.training_loss)
    tied = [o for o in known if o is top or _ties(o, top)]
    highest = max(tied, key=_or_lowest)
    kept = [o for o in tied if not _lower(o, highest)]
    option = _cheapest(kept, cost)
    others = [o for o in known if not any(o is k for k in kept) and _lower(option, o)]
    higher = max(others, key=_or_lowest) if others else None
    return Recommendation(option, top, len(kept) - 1, sum(map(len, option.validation)), higher)


def _cheapest(choices: Sequence[Candidate], cost: CostAxis) -> Candidate:
    return min(choices, key=lambda o: (o.cost(cost), o.tape))


def _or_lowest(option: Candidate) -> float:
    return -math.inf if math.isnan(option.psnr_validation) else option.psnr_validation


def _ties(choice: Candidate, top: Candidate) -> bool:
    if choice.seeds != top.seeds:
        return False
    above = [_above(a, b) for a, b in zip(choice.loss, top.loss, strict=True)]
    if not all(map(math.isfinite, above)):
        return False
    spread = stdev(above) if len(above) > 1 else 0.0
    return mean(above) <= max(spread, LOSS_ALIKE) and min(above) <= LOSS_ALIKE


def _above(loss: float, least: float) -> float:
    return 0.0 if loss == least else (loss - least) / abs(least) if least else math.inf


def _lower(choice: Candidate, other: Candidate) -> bool:
    """Its validation PSNR lies below the other's by more than images and seeds let pass for chance."""
    if math.isnan(choice.psnr_validation) or math.isnan(other.psnr_validation):
        return False
    if list(map(len, choice.validation)) != list(map(len, other.validation)):
        return False
    seeds = [
        [b - a for a, b in zip(mine, theirs, strict=True)]
        for mine, theirs in zip(choice.validation, other.validation, strict=True)
    ]
    every = [value for seed in seeds for value in seed]
    if len(every) < 2:  # one image shows no difference
        return False
    over_seeds = stdev([mean(seed) for seed in seeds]) if len(seeds) > 1 else 0.0
    return mean(every) > max(stdev(every), over_seeds, ALIKE)


def stops(choices: Iterable[Candidate]) -> list[float]:
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
