"""Which estimator, which depth? Answers from the tidy table, under a limit on the tape."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import mean, stdev

import pandas as pd

from ..measurement.equilibrium import SAME
from .over_seeds import column, largest_over_seeds, smallest
from .pareto import COSTS, CostAxis

WORK = COSTS[0]
WITHIN = 0.01
"""Default limit on the relative error of the gradient."""
ALIKE = 0.01
"""Difference of PSNRs, in dB, that counts as none."""
LOSS_ALIKE = 0.01
"""Relative difference of training losses that counts as none."""


@dataclass(frozen=True)
class Candidate:
    """A solver that ended well on every seed of a task: means over the seeds, NaN where not measured.

    Attributes:
        error, error_least: of its gradient at the initial parameters, relative: extremes over seeds and draws.
        applications, vjps, step_ms, saved_mib: of a training step; ``saved_mib`` is its tape.
        psnr, far: of the test images as trained, and at 10 times that depth (minus infinity: diverged), in dB.
        at_equilibrium: PSNR of the test images at the equilibrium of each seed, in dB; shown, but decides nothing.
        loss: training loss at the equilibrium of each seed.
        validation: PSNR at the equilibrium of each seed and validation image, in dB.
        stays: whether plain iteration stays at the equilibrium on every seed.
        residual: of the equilibrium, the largest over seeds.
    """

    solver: str
    family: str
    seeds: tuple[int, ...]
    error: float
    error_least: float
    applications: float
    vjps: float
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

    @cached_property
    def psnr_equilibrium(self) -> float:
        """Mean over the seeds; NaN if one of them has none."""
        return mean(self.at_equilibrium)

    @cached_property
    def training_loss(self) -> float:
        """Training loss at the equilibrium, the mean over the seeds; NaN if one of them has none."""
        return mean(self.loss)

    @cached_property
    def psnr_validation(self) -> float:
        """PSNR of the validation images, the mean over images and seeds; NaN if a seed has none."""
        every = [value for seed in self.validation for value in seed]
        return mean(every) if every and all(self.validation) else math.nan

    @property
    def settled(self) -> bool:
        """Whether it has an equilibrium on every seed where plain iteration stays."""
        return math.isfinite(self.psnr_equilibrium) and self.stays

    def cost(self, cost: CostAxis) -> float:
        """Cost of a training step; infinite if not measured."""
        value = getattr(self, cost.name)
        return math.inf if math.isnan(value) else value

    @property
    def tape(self) -> float:
        """MiB of tape; infinite if not measured, so that it fits only without a limit."""
        return math.inf if math.isnan(self.saved_mib) else self.saved_mib


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The solver whose operator is the best trained at its equilibrium.

    Attributes:
        option: the cheapest of ``tied``.
        tied: all solvers that tie for the best, ``option`` among them.
        top: that with the lowest mean training loss; may be ``option`` itself.
        images: validation images, over all seeds, that decided between ties; 0 for none.
        higher: a solver that does not tie, with a validation PSNR higher by more than chance; or ``None``.
    """

    option: Candidate
    tied: tuple[Candidate, ...]
    top: Candidate
    images: int
    higher: Candidate | None

    @property
    def ties(self) -> int:
        """Number of other solvers that tie with ``option``."""
        return len(self.tied) - 1


def candidates(frame: pd.DataFrame) -> dict[str, list[Candidate]]:
    """By heading the solvers that ended well on every seed of their task, in the order of ``frame``.

    Args:
        frame: of ``tidy.tidy``.
    """
    found: dict[str, list[Candidate]] = {}
    for heading, of_task in frame.groupby("heading", sort=False):
        seeds = set(of_task["seed"])
        for solver, rows in of_task.groupby("solver", sort=False):
            if (rows["status"] == "ok").all() and set(rows["seed"]) == seeds:
                # Sorted, because solvers are compared seed by seed.
                rows = rows.sort_values("seed", kind="stable")
                found.setdefault(str(heading), []).append(_candidate(str(solver), rows))
    return found


def measured_psnr(part: pd.DataFrame) -> float:
    """Mean PSNR of the measurements of one heading in dB; NaN if unknown."""
    return float(part["psnr_measurement"].mean())


def _candidate(solver: str, rows: pd.DataFrame) -> Candidate:
    def mean_of(name: str) -> float:
        return float(column(rows, name).mean(skipna=False))

    return Candidate(
        solver=solver,
        family=str(rows["family"].iloc[0]),
        seeds=tuple(int(seed) for seed in rows["seed"]),
        error=largest_over_seeds(rows),
        error_least=smallest(rows),
        applications=mean_of("applications"),
        vjps=mean_of("vjps"),
        step_ms=mean_of("step_ms"),
        saved_mib=mean_of("saved_mib"),
        psnr=mean_of("psnr"),
        at_equilibrium=tuple(float(value) for value in rows["psnr_equilibrium"]),
        loss=tuple(float(value) for value in column(rows, "training_loss_equilibrium")),
        validation=_validation(rows),
        stays=all(map(_stays, *(column(rows, name) for name in STAYS))),
        residual=float(column(rows, "equilibrium_residual").max(skipna=False)),
        far=mean_of("psnr_10"),
    )


def _validation(rows: pd.DataFrame) -> tuple[tuple[float, ...], ...]:
    """PSNRs of the images of each seed; only their mean where the images are not in ``rows``."""
    means = column(rows, "psnr_validation_equilibrium")
    images = rows.get("psnr_validation_images", means.map(lambda value: [value]))
    return tuple(
        tuple(map(float, seed)) if math.isfinite(value) else ()
        for seed, value in zip(images, means, strict=True)
    )


STAYS = ("equilibrium_stays", "contraction", "psnr_100", "psnr_10", "psnr_equilibrium")


def _stays(recorded: float, contraction: float, psnr_100: float, psnr_10: float, equilibrium: float) -> bool:
    """Whether plain iteration stays at the equilibrium; of older records, whether it was seen to end there."""
    if not math.isnan(recorded):
        return bool(recorded)
    end = psnr_10 if math.isnan(psnr_100) else psnr_100
    return contraction < 1 or abs(end - equilibrium) <= SAME


def cheapest_setting(
    choices: Sequence[Candidate], within: float = WITHIN, memory: float = math.inf, cost: CostAxis = WORK
) -> Candidate | None:
    """The cheapest training step whose gradient is within ``within`` of the exact one, on every seed and draw.

    Args:
        choices: of one heading.
        within: limit on the relative error.
        memory: limit on the tape in MiB.
        cost: of a training step. Of equal costs the smaller tape is taken, then the first.

    Returns:
        ``None`` if no solver is as exact, with a tape that fits and a cost that was measured.
    """
    exact = [o for o in choices if o.error <= within and o.tape <= memory and o.cost(cost) < math.inf]
    return _cheapest(exact, cost) if exact else None


def best(
    choices: Sequence[Candidate], memory: float = math.inf, cost: CostAxis = WORK
) -> Recommendation | None:
    """The operator that is the best trained at its equilibrium, and of a tie the cheapest.

    The training loss at the equilibrium decides, which is what every solver minimises. Test images decide nothing:
    on a few crops they rank how these differ from the crops of the training, not the solvers.

    Seeds are other crops and other noise, so solvers are compared seed by seed. A solver ties with the lowest mean
    loss if its loss is higher by no more than the standard deviation of that difference over the seeds, or by less
    than 1 %; but not if it is higher by more than 1 % on every seed. A tied solver is dropped if its PSNR on the
    validation images, image by image, is lower by more than chance.

    Args:
        choices: of one heading.
        memory: limit on the tape in MiB.
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
    highest = max(tied, key=_validation_rank)
    kept = [o for o in tied if not _lower(o, highest)]
    option = _cheapest(kept, cost)
    higher = [o for o in known if not any(o is k for k in kept) and _lower(option, o)]
    images = sum(map(len, option.validation))
    return Recommendation(option, tuple(kept), top, images, max(higher, key=_validation_rank, default=None))


def _cheapest(choices: Sequence[Candidate], cost: CostAxis) -> Candidate:
    return min(choices, key=lambda o: (o.cost(cost), o.tape))


def _validation_rank(choice: Candidate) -> float:
    return -math.inf if math.isnan(choice.psnr_validation) else choice.psnr_validation


def _ties(choice: Candidate, top: Candidate) -> bool:
    if choice.seeds != top.seeds:
        return False
    above = [_excess(loss, least) for loss, least in zip(choice.loss, top.loss, strict=True)]
    if not all(map(math.isfinite, above)):
        return False
    spread = stdev(above) if len(above) > 1 else 0.0
    return mean(above) <= max(spread, LOSS_ALIKE) and min(above) <= LOSS_ALIKE


def _excess(loss: float, least: float) -> float:
    return 0.0 if loss == least else (loss - least) / abs(least) if least else math.inf


def _lower(choice: Candidate, other: Candidate) -> bool:
    """Whether the validation PSNR of ``choice`` is lower by more than images and seeds differ by chance."""
    if math.isnan(choice.psnr_validation) or math.isnan(other.psnr_validation):
        return False
    if list(map(len, choice.validation)) != list(map(len, other.validation)):
        return False
    by_seed = [
        [theirs - own for own, theirs in zip(a, b, strict=True)]
        for a, b in zip(choice.validation, other.validation, strict=True)
    ]
    every = [difference for seed in by_seed for difference in seed]
    if len(every) < 2:  # one image shows no spread
        return False
    over_seeds = stdev([mean(seed) for seed in by_seed]) if len(by_seed) > 1 else 0.0
    return mean(every) > max(stdev(every), over_seeds, ALIKE)


def stops(choices: Iterable[Candidate]) -> list[float]:
    """Limits on the tape to choose from, in MiB: 1, 1.5, 2, 3, 4, 6, … from the smallest tape up; no limit last."""
    tapes = [o.tape for o in choices if o.tape < math.inf]
    if not tapes or max(tapes) == 0:
        return [math.inf]
    low = math.floor(math.log2(max(min(tapes), max(tapes) / 2**20)))
    high = math.ceil(math.log2(max(tapes)))
    steps = [part * 2.0**power for power in range(low, high + 1) for part in (1, 1.5)]
    # Some tape fits below the first, and some tape does not fit below the last.
    return [*(step for step in steps if min(tapes) <= step < max(tapes)), math.inf]
