"""Search for trials with a large ratio of true error and bound: new random ones, and variations of the worst."""

from __future__ import annotations

import math
import random
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch

from bench.utils.errors import UserError

from .exact import NoReferenceError
from .layers import LAYERS
from .operators import INVERTIBLE, PENALTIES, PHYSICS, RIDGES, SPLITTINGS, WITHOUT_PROX
from .problem import AttackProblem
from .trial import ESTIMATORS, AttackOutcome, AttackTrial, failed_outcome, run_trial

EXPLORED = 0.4
"""Share of trials that are drawn anew; the others vary one of the worst trials so far."""
CLIMBED = 0.5
"""Share of those variations that move all continuous fields a little; the others draw one or two fields anew."""
MOVE = 0.5
"""Standard deviation of a move, of the logarithm of a field."""
POOL = 4
"""Number of worst trials kept for each kind of operator and dtype: on some maps the bound is attained by design."""
PROBLEM_CHOICES: dict[str, tuple[object, ...]] = {
    "map": (*PENALTIES, *PENALTIES, *PENALTIES, *RIDGES, *LAYERS),
    "physics": ("denoising", "deblurring", "inpainting", *PHYSICS),
    "splitting": ("forward_backward", *SPLITTINGS),
    "wavelet": ("haar", "db2"),
    "size": (8, 8, 8, 16),
    "batch": (1, 2),
    "smoothing": (0.0, 0.001, 0.01, 0.1),
    "ridge": (0.02, 0.1, 0.5),
    "weight": (0.005, 0.02, 0.1, 1.0),
    "step": (0.3, 0.9, 1.0, 1.5),
    "kink": (False, True),
    "loss": ("mse", "mse", "direct", "image", "slow"),
    "leaf": ("", "", "", "", "", "gain", "kernel", "step"),
    "big": (0.0, 0.0, 0.0, 1e2, 1e4, 1e8, 1e12),
    "seed": tuple(range(20)),
}
"""Values of the fields of a problem; repeated values are drawn more often."""
TRIAL_CHOICES: dict[str, tuple[object, ...]] = {
    "dtype": ("float64", "float32"),
    "estimator": tuple(ESTIMATORS),
    "tol": (1e-1, 1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-13),
    "depth": (1, 2, 4, 12, 30),
    "way": ("backward", "backward", "grad", "inputs", "twice", "accumulate"),
    "loss_change": ("same", "same", "scaled", "wrong"),
    "audit": (False, False, False, True),
    "start": (0.0, 0.0, 0.01, 1.0),
    "aligned": (False, False, True),
}
"""Values of the other fields of a trial."""
RANGES: dict[str, tuple[float, float]] = {
    "smoothing": (1e-6, 1.0),
    "ridge": (1e-4, 2.0),
    "weight": (1e-4, 10.0),
    "step": (0.02, 1.9),
}
"""Continuous fields of a problem and their ranges."""
TRIAL_RANGES: dict[str, tuple[float, float]] = {"tol": (1e-14, 0.5), "start": (1e-8, 10.0)}
"""Continuous fields of a trial and their ranges. A field that is 0 stays 0."""


def random_trial(rng: random.Random) -> AttackTrial:
    """Draw a trial."""
    problem = AttackProblem(**{name: rng.choice(values) for name, values in PROBLEM_CHOICES.items()})  # pyright: ignore
    trial = AttackTrial(problem, **{name: rng.choice(values) for name, values in TRIAL_CHOICES.items()})  # pyright: ignore
    return possible(trial, rng)


def varied_trial(trial: AttackTrial, rng: random.Random) -> AttackTrial:
    """Move the continuous fields of a trial, or draw one or two others, more often of the trial than of its problem."""
    if rng.random() < CLIMBED:
        problem = replace(trial.problem, **_moved(trial.problem, RANGES, rng))  # pyright: ignore[reportArgumentType]
        return replace(trial, problem=problem, **_moved(trial, TRIAL_RANGES, rng))  # pyright: ignore[reportArgumentType]
    for _ in range(rng.randint(1, 2)):
        if rng.random() < 0.7:
            name = rng.choice(list(TRIAL_CHOICES))
            trial = replace(trial, **{name: rng.choice(TRIAL_CHOICES[name])})
        else:
            name = rng.choice(list(PROBLEM_CHOICES))
            value = rng.choice(PROBLEM_CHOICES[name])
            trial = replace(trial, problem=replace(trial.problem, **{name: value}))  # pyright: ignore
    return possible(trial, rng)


def possible(trial: AttackTrial, rng: random.Random) -> AttackTrial:
    """The trial with a physics and a splitting that its map and its physics admit."""
    problem = trial.problem
    if problem.map in RIDGES and problem.physics not in INVERTIBLE:
        problem = replace(problem, physics=rng.choice(INVERTIBLE))
    if problem.physics in ("super_resolution", "poisson"):
        problem = replace(problem, size=16)  # their filters have 9 pixels
    if problem.map in (*RIDGES, "coupled") or problem.physics in WITHOUT_PROX:
        problem = replace(problem, splitting="forward_backward")
    return replace(trial, problem=problem)


def _moved(
    fields: AttackTrial | AttackProblem, ranges: dict[str, tuple[float, float]], rng: random.Random
) -> dict[str, float]:
    """Continuous fields times ``e^m``, with m drawn from a normal distribution."""
    moved: dict[str, float] = {}
    for name, (low, high) in ranges.items():
        value = getattr(fields, name) * math.exp(rng.gauss(0, MOVE))
        moved[name] = min(max(value, low), high) if value else 0.0
    return moved


@dataclass(frozen=True, slots=True)
class AttackReport:
    """All trials of an attack."""

    seed: int
    outcomes: tuple[AttackOutcome, ...]

    @property
    def rigorous(self) -> list[AttackOutcome]:
        """Outcomes with a certificate that says it is rigorous, the largest ratio first."""
        return sorted((o for o in self.outcomes if o.rigorous), key=lambda o: -o.ratio)

    @property
    def false(self) -> list[AttackOutcome]:
        """Outcomes with a rigorous certificate that is false."""
        return [o for o in self.rigorous if o.ratio > 1]

    def summary(self) -> dict[str, object]:
        """The numbers of the report by their titles."""
        rigorous = self.rigorous
        problems = [o.trial.problem for o in rigorous]
        operators = [p for p in problems if p.map not in LAYERS]
        return {
            "seed": self.seed,
            "trials": len(self.outcomes),
            "rigorous": len(rigorous),
            "largest ratio": rigorous[0].ratio if rigorous else 0.0,
            "false": len(self.false),
            "rigorous in float32": sum(o.trial.dtype == "float32" for o in rigorous),
            "audits": sum(o.trial.audit for o in rigorous),
            "without a reference": sum(o.why.startswith(NoReferenceError.__name__) for o in self.outcomes),
            "by map": _counts(p.map for p in problems),
            "by splitting": _counts(p.splitting for p in operators),
            "by physics": _counts(p.physics for p in operators),
            "largest ratio by kind": {
                f"{kind}, {dtype}": ratio for (kind, dtype), ratio in sorted(self._largest().items())
            },
        }

    def _largest(self) -> dict[tuple[str, str], float]:
        """The largest ratio of each kind of operator and dtype."""
        largest: dict[tuple[str, str], float] = {}
        for outcome in reversed(self.rigorous):
            largest[_kind(outcome.trial)] = outcome.ratio
        return largest


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _kind(trial: AttackTrial) -> tuple[str, str]:
    """The kind of operator of a trial, and its dtype: the map, and for an operator the splitting or the physics."""
    problem = trial.problem
    if problem.map in LAYERS or problem.map in RIDGES:
        return problem.map, trial.dtype
    if problem.splitting != "forward_backward":
        return problem.splitting, trial.dtype
    return (problem.map if PHYSICS[problem.physics] is None else problem.physics), trial.dtype


def run_attack(
    trials: int, seed: int, on_outcome: Callable[[int, AttackOutcome], object] | None = None
) -> AttackReport:
    """Run trials, guided by the ratios of earlier ones.

    Args:
        trials: number of trials.
        seed: seed of the search.
        on_outcome: called with the number and the outcome of each trial.
    """
    rng, worst, outcomes = random.Random(seed), [], []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for number in range(trials):
            explore = not worst or rng.random() < EXPLORED
            trial = random_trial(rng) if explore else varied_trial(rng.choice(worst).trial, rng)
            outcome = _run_safely(trial)
            outcomes.append(outcome)
            if outcome.rigorous and outcome.ratio > 0:
                worst = _select_worst([*worst, outcome])
            if on_outcome is not None:
                on_outcome(number, outcome)
    finally:
        torch.set_num_threads(threads)
    return AttackReport(seed, tuple(outcomes))


def _select_worst(outcomes: list[AttackOutcome]) -> list[AttackOutcome]:
    """The ``POOL`` worst outcomes of each kind of operator and dtype."""
    counts: Counter[tuple[str, str]] = Counter()
    worst: list[AttackOutcome] = []
    for outcome in sorted(outcomes, key=lambda o: -o.ratio):
        kind = _kind(outcome.trial)
        counts[kind] += 1
        if counts[kind] <= (
            1 if outcome.trial.problem.map in RIDGES else POOL
        ):  # a trial of theirs takes 10 seconds
            worst.append(outcome)
    return worst


def _run_safely(trial: AttackTrial) -> AttackOutcome:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return run_trial(trial)
    except (UserError, ValueError, RuntimeError) as error:
        # Some problems cannot be built, e.g. an image too small for a wavelet. They say nothing about certificates.
        return failed_outcome(trial, f"{type(error).__name__}: {error}")
