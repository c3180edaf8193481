"""Search for trials with a large ratio of true error and bound: new random ones, and variations of the worst."""

from __future__ import annotations

import random
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from bench.utils.errors import UserError

from .problems import PENALTIES, AttackProblem
from .trial import ESTIMATORS, AttackOutcome, AttackTrial, failed_outcome, run_trial

EXPLORED = 0.4
"""Share of trials that are drawn anew; the others vary one of the worst trials so far."""
POOL = 4
"""Number of worst trials kept for each map and dtype: on some maps the bound is attained by design."""
PROBLEM_CHOICES: dict[str, tuple[object, ...]] = {
    "map": (*PENALTIES, "weighted", "layer", "affine", "quotient"),
    "physics": ("denoising", "deblurring", "inpainting"),
    "wavelet": ("haar", "db2"),
    "size": (8, 8, 16),
    "batch": (1, 2),
    "smoothing": (0.0, 0.001, 0.01, 0.1),
    "ridge": (0.02, 0.1, 0.5),
    "weight": (0.005, 0.02, 0.1, 1.0),
    "step": (0.3, 0.9, 1.0, 1.5),
    "kink": (False, True),
    "loss": ("mse", "mse", "direct"),
    "leaf": ("", "", "", "gain", "kernel", "step"),
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
}
"""Values of the other fields of a trial."""


def random_trial(rng: random.Random) -> AttackTrial:
    """Draw a trial."""
    problem = AttackProblem(**{name: rng.choice(values) for name, values in PROBLEM_CHOICES.items()})  # pyright: ignore
    return AttackTrial(problem, **{name: rng.choice(values) for name, values in TRIAL_CHOICES.items()})  # pyright: ignore


def varied_trial(trial: AttackTrial, rng: random.Random) -> AttackTrial:
    """Change one or two fields of a trial, more often of the trial itself than of its problem."""
    for _ in range(rng.randint(1, 2)):
        if rng.random() < 0.7:
            name = rng.choice(list(TRIAL_CHOICES))
            trial = replace(trial, **{name: rng.choice(TRIAL_CHOICES[name])})
        else:
            name = rng.choice(list(PROBLEM_CHOICES))
            value = rng.choice(PROBLEM_CHOICES[name])
            trial = replace(trial, problem=replace(trial.problem, **{name: value}))  # pyright: ignore
    return trial


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
        maps = Counter(o.trial.problem.map for o in rigorous)
        return {
            "seed": self.seed,
            "trials": len(self.outcomes),
            "rigorous": len(rigorous),
            "largest ratio": rigorous[0].ratio if rigorous else 0.0,
            "false": len(self.false),
            "rigorous in float32": sum(o.trial.dtype == "float32" for o in rigorous),
            "audits": sum(o.trial.audit for o in rigorous),
            "by map": dict(sorted(maps.items())),
        }


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
    """The ``POOL`` worst outcomes of each map and dtype."""
    counts: Counter[tuple[str, str]] = Counter()
    worst: list[AttackOutcome] = []
    for outcome in sorted(outcomes, key=lambda o: -o.ratio):
        kind = outcome.trial.problem.map, outcome.trial.dtype
        counts[kind] += 1
        if counts[kind] <= POOL:
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
