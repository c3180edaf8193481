"""Attack rigorous certificates: trials that climb towards the largest ratio of true error and bound."""

from __future__ import annotations

import dataclasses
import json
import math
import random
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from bench.errors import UserError
from solvers import (
    GMRES,
    Anderson,
    Certificate,
    Monitor,
    Picard,
    Solver,
    certified,
    checkpointed,
    deq,
    implicit,
    neumann,
    phantom,
    restarted_jfb,
)

from .attack_problems import F64, FLOOR, PENALTIES, Made, Problem, make, reference

ESTIMATORS: dict[str, Callable[[float, int], Solver]] = {
    "neumann": lambda tol, k: neumann(8 * k, k),
    "restarted_jfb": lambda tol, k: restarted_jfb(k, 8),
    "implicit": lambda tol, k: implicit(Anderson(tol), GMRES(tol)),
    "picard": lambda tol, k: implicit(Picard(tol, 2000), GMRES(tol)),
    "deq": lambda tol, k: deq(tol),
    "phantom": lambda tol, k: phantom(8 * k, k, 0.7),
    "checkpointed": lambda tol, k: checkpointed(8 * k, k),
    "certified": lambda tol, k: certified(max(tol, 1e-6), 500),
}
"""What the gradient is made by, at a tolerance or a depth."""
EXPLORED = 0.4
"""Share of trials that are drawn afresh; the others change one of the worst so far."""
POOL = 4
"""How many of the worst are gone on from, of each map and dtype: on some, the bound is attained by design."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A problem, and how its gradient is made and asked for.

    Attributes:
        problem: see there.
        dtype: ``float32`` or ``float64``.
        estimator, tol, depth: one of ``ESTIMATORS``, and what it is given.
        way: ``backward``, ``grad``, ``inputs``, ``twice`` or ``accumulate``: how the gradient is taken.
        told: ``same`` loss, ``scaled``, or ``wrong``: the one that is backpropagated differs by a little.
        audit: whether the certificate is the two-sided one.
        start: how far from the usual start.
    """

    problem: Problem
    dtype: str = "float64"
    estimator: str = "implicit"
    tol: float = 1e-6
    depth: int = 4
    way: str = "backward"
    told: str = "same"
    audit: bool = False
    start: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a trial.

    Attributes:
        ratio: true error over bound, or lower bound over true error, whichever is larger; above 1 it is false.
        error, bound, least: the true error, and what the certificate says of it.
        rigorous: what it says of itself.
        why: why it is an estimate, or what went wrong.
    """

    trial: Trial
    ratio: float
    error: float
    bound: float
    least: float
    rigorous: bool
    why: str


PROBLEM: dict[str, tuple[object, ...]] = {
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
CHOICES: dict[str, tuple[object, ...]] = {
    "dtype": ("float64", "float32"),
    "estimator": tuple(ESTIMATORS),
    "tol": (1e-1, 1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-13),
    "depth": (1, 2, 4, 12, 30),
    "way": ("backward", "backward", "grad", "inputs", "twice", "accumulate"),
    "told": ("same", "same", "scaled", "wrong"),
    "audit": (False, False, False, True),
    "start": (0.0, 0.0, 0.01, 1.0),
}


def drawn(chance: random.Random) -> Trial:
    """A trial at random."""
    problem = Problem(**{name: chance.choice(values) for name, values in PROBLEM.items()})  # pyright: ignore
    return Trial(problem, **{name: chance.choice(values) for name, values in CHOICES.items()})  # pyright: ignore


def changed(trial: Trial, chance: random.Random) -> Trial:
    """The same, in one or two respects another; more often in how the gradient is made than in the problem."""
    for _ in range(chance.randint(1, 2)):
        if chance.random() < 0.7:
            name = chance.choice(list(CHOICES))
            trial = replace(trial, **{name: chance.choice(CHOICES[name])})
        else:
            name = chance.choice(list(PROBLEM))
            trial = replace(trial, problem=replace(trial.problem, **{name: chance.choice(PROBLEM[name])}))  # pyright: ignore
    return trial


def attempt(trial: Trial) -> Outcome:
    """Make the gradient as a user would, and hold its certificate against the true error."""
    dtype = getattr(torch, trial.dtype)
    made, log = make(trial.problem, dtype), []
    monitor = Monitor(
        ESTIMATORS[trial.estimator](trial.tol, trial.depth),
        lambda step, found: log.append(found),
        every=1,
        audit=trial.audit,
        budget=600,
    )
    noise = torch.randn(made.x0.shape, generator=torch.Generator().manual_seed(trial.problem.seed), dtype=F64)
    x0 = made.x0 + trial.start * noise.to(dtype)
    factor = 1e3 if trial.told == "scaled" else 1.0
    gradient = _taken(trial, made, monitor(made.T, x0, made.loss).x, factor)
    if not log:
        return Outcome(trial, 0.0, math.nan, math.inf, 0.0, False, "no pass was seen")
    found: Certificate = log[0]
    exact = [factor * part for part in reference(trial.problem, dtype)]
    error = _norm([g.double() - e for g, e in zip(gradient, exact, strict=True)])
    inverse = 1 / (1 - found.L) if found.L < 1 else math.inf
    blur = FLOOR * _norm(exact) * inverse**2
    above = max(0.0, error - blur) / found.error if found.error > 0 else math.inf * (error > blur)
    below = found.least / (error + blur) if found.least else 0.0
    ratio = 0.0 if math.isnan(above) else max(above, below)
    return Outcome(trial, ratio, error, found.error, found.least, found.rigorous, found.why)


def _taken(trial: Trial, made: Made, x: Tensor, factor: float) -> list[Tensor]:
    leaves = made.leaves
    for leaf in leaves:
        leaf.grad = None
    value = factor * made.loss(x)
    if trial.told == "wrong":
        value = value + 1e-7 * (x * torch.linspace(-1, 1, x.numel(), dtype=x.dtype).view_as(x)).sum()
    if trial.way == "grad":
        return list(torch.autograd.grad(value, leaves))
    if trial.way == "accumulate":
        # What the pass brings is told by hooks: adding it to what is there would round it.
        brought: dict[int, Tensor] = {}
        handles = [
            leaf.register_hook(partial(brought.__setitem__, number)) for number, leaf in enumerate(leaves)
        ]
        for leaf in leaves:
            leaf.grad = torch.full_like(leaf, 1e3)
        value.backward()
        for handle in handles:
            handle.remove()
        return [brought[number] for number in range(len(leaves))]
    value.backward(inputs=list(leaves) if trial.way == "inputs" else None, retain_graph=trial.way == "twice")
    found = [leaf.grad.clone() for leaf in leaves if leaf.grad is not None]
    if trial.way == "twice":
        value.backward()  # the first pass is the one that is certified
    return found


def _norm(parts: list[Tensor]) -> float:
    return math.sqrt(sum(float(part.double().square().sum()) for part in parts))


@dataclass(frozen=True, slots=True)
class Report:
    """All trials of an attack."""

    seed: int
    outcomes: tuple[Outcome, ...]

    @property
    def rigorous(self) -> list[Outcome]:
        """Those whose certificate calls itself rigorous, from the worst on."""
        return sorted((o for o in self.outcomes if o.rigorous), key=lambda o: -o.ratio)

    @property
    def false(self) -> list[Outcome]:
        """Those of them that are not true."""
        return [o for o in self.rigorous if o.ratio > 1]

    def summary(self) -> dict[str, object]:
        """The numbers of the table."""
        best = self.rigorous
        of = Counter(o.trial.problem.map for o in best)
        return {
            "seed": self.seed,
            "trials": len(self.outcomes),
            "rigorous": len(best),
            "largest ratio": best[0].ratio if best else 0.0,
            "false": len(self.false),
            "rigorous in float32": sum(o.trial.dtype == "float32" for o in best),
            "audits": sum(o.trial.audit for o in best),
            "by map": dict(sorted(of.items())),
        }


def attack(trials: int, seed: int, say: Callable[[int, Outcome], object] | None = None) -> Report:
    """Run so many trials, guided by the ratios of those before."""
    chance, worst, outcomes = random.Random(seed), [], []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for number in range(trials):
            fresh = not worst or chance.random() < EXPLORED
            trial = drawn(chance) if fresh else changed(chance.choice(worst).trial, chance)
            outcome = _safely(trial)
            outcomes.append(outcome)
            if outcome.rigorous and outcome.ratio > 0:
                worst = _worst([*worst, outcome])
            if say is not None:
                say(number, outcome)
    finally:
        torch.set_num_threads(threads)
    return Report(seed, tuple(outcomes))


def _worst(outcomes: list[Outcome]) -> list[Outcome]:
    """The worst of each map and dtype."""
    kept: Counter[tuple[str, str]] = Counter()
    found: list[Outcome] = []
    for one in sorted(outcomes, key=lambda o: -o.ratio):
        kind = one.trial.problem.map, one.trial.dtype
        kept[kind] += 1
        if kept[kind] <= POOL:
            found.append(one)
    return found


def _safely(trial: Trial) -> Outcome:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return attempt(trial)
    except (UserError, ValueError, RuntimeError) as error:
        # What cannot be built (an image too small for a wavelet) is no trial of a certificate; it counts as none.
        return Outcome(trial, 0.0, math.nan, math.inf, 0.0, False, f"{type(error).__name__}: {error}")


def frame(report: Report) -> pd.DataFrame:
    """The summary, a row a number."""
    return pd.DataFrame([{"": name, "value": str(value)} for name, value in report.summary().items()])


def write(report: Report, out: Path) -> list[Path]:
    """``attack.json`` and ``attack.md`` in the folder."""
    out.mkdir(parents=True, exist_ok=True)
    worst = [dataclasses.asdict(o) for o in report.rigorous[:20]]
    page, data = out / "attack.md", out / "attack.json"
    data.write_text(json.dumps({**report.summary(), "worst": worst}, indent=1) + "\n", encoding="utf-8")
    lines = ["# Attack on rigorous certificates\n", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in report.summary().items()]
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [page, data]
