"""One trial of an attack: make a gradient as a user would, and compare its certificate with the true error."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import torch
from torch import Tensor

from solvers import (
    GMRES,
    Anderson,
    Certificate,
    GradientMonitor,
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

from .exact import FLOOR, build_attack_problem, exact_parts, slow_direction
from .problem import F64, AttackProblem, BuiltProblem

ESTIMATORS: dict[str, Callable[[float, int], Solver]] = {
    "neumann": lambda tol, k: neumann(8 * k, k),
    "restarted_jfb": lambda tol, k: restarted_jfb(k, 8),
    "implicit": lambda tol, k: implicit(Anderson(tol), GMRES(tol)),
    "picard": lambda tol, k: implicit(Picard(tol, 500), GMRES(tol)),
    "deq": lambda tol, k: deq(tol),
    "phantom": lambda tol, k: phantom(8 * k, k, 0.7),
    "checkpointed": lambda tol, k: checkpointed(8 * k, k),
    "certified": lambda tol, k: certified(max(tol, 1e-6), 500),
}
"""Builds a solver from a tolerance and a depth."""
WRONG_LOSS = 1e-7
"""Slope of the term by which the loss that is backpropagated differs from the one that the monitor knows."""


@dataclass(frozen=True, slots=True)
class AttackTrial:
    """A problem, and how its gradient is computed.

    Attributes:
        problem: the map, the loss and the parameters.
        dtype: ``float32`` or ``float64``.
        estimator: a key of ``ESTIMATORS``; ``tol`` and ``depth`` are its arguments.
        way: how the gradient is taken: ``backward``, ``grad``, ``inputs``, ``twice`` or ``accumulate``.
        loss_change: the loss that is backpropagated, compared with the one that the monitor knows: the ``same``,
            ``scaled`` by 1000, or slightly ``wrong``.
        audit: whether the monitor makes a two-sided certificate.
        start: standard deviation of the noise added to the usual start; or, if ``aligned``, the distance of the start
            from the equilibrium, in units of the scale of the problem.
        aligned: whether the start lies at the equilibrium, moved along the slowest mode.
    """

    problem: AttackProblem
    dtype: str = "float64"
    estimator: str = "implicit"
    tol: float = 1e-6
    depth: int = 4
    way: str = "backward"
    loss_change: str = "same"
    audit: bool = False
    start: float = 0.0
    aligned: bool = False


@dataclass(frozen=True, slots=True)
class AttackOutcome:
    """The outcome of a trial.

    Attributes:
        trial: the trial.
        ratio: true error over bound, or lower bound over true error, whichever is larger. Above 1 the certificate is
            false.
        error: true error of the gradient, 2-norm.
        bound, least: upper and lower bound of the certificate.
        rigorous: whether the certificate says that it is rigorous.
        why: why it is an estimate only, or what was raised.
    """

    trial: AttackTrial
    ratio: float
    error: float
    bound: float
    least: float
    rigorous: bool
    why: str


def failed_outcome(trial: AttackTrial, why: str) -> AttackOutcome:
    """The outcome of a trial that made no certificate; it counts as neither true nor false."""
    return AttackOutcome(trial, 0.0, math.nan, math.inf, 0.0, False, why)


def run_trial(trial: AttackTrial) -> AttackOutcome:
    """Compute the gradient of a trial, and compare its certificate with the error against the exact gradient."""
    dtype = getattr(torch, trial.dtype)
    problem = build_attack_problem(trial.problem, dtype)
    certificates: list[Certificate] = []
    monitor = GradientMonitor(
        ESTIMATORS[trial.estimator](trial.tol, trial.depth),
        lambda step, certificate: certificates.append(certificate),
        every=1,
        audit=trial.audit,
        budget=600,
    )
    x0 = _start(trial, problem, dtype)
    factor = 1e3 if trial.loss_change == "scaled" else 1.0
    gradient = _take_gradient(trial, problem, monitor(problem.T, x0, problem.loss).x, factor)
    if not certificates:
        return failed_outcome(trial, "the monitor saw no backward pass")
    certificate = certificates[0]
    exact = [factor * part for part in exact_parts(trial.problem, dtype)]
    error = _total_norm([g.double() - e for g, e in zip(gradient, exact, strict=True)])
    # The exact gradient has an error of its own: no difference below it counts against a certificate.
    inverse = 1 / (1 - certificate.L) if certificate.L < 1 else math.inf
    reference_error = FLOOR * _total_norm(exact) * inverse**2
    excess = max(0.0, error - reference_error)
    above = excess / certificate.error if certificate.error > 0 else math.inf * (error > reference_error)
    below = certificate.least / (error + reference_error) if certificate.least else 0.0
    ratio = 0.0 if math.isnan(above) else max(above, below)
    return AttackOutcome(
        trial, ratio, error, certificate.error, certificate.least, certificate.rigorous, certificate.why
    )


def _start(trial: AttackTrial, problem: BuiltProblem, dtype: torch.dtype) -> Tensor:
    """The first state of a trial."""
    if trial.aligned:
        x, direction = slow_direction(replace(trial.problem, loss="mse"), dtype)
        return (x + trial.start * trial.problem.scale * direction).to(dtype)
    rng = torch.Generator().manual_seed(trial.problem.seed)
    noise = torch.randn(problem.x0.shape, generator=rng, dtype=F64)
    return problem.x0 + trial.start * noise.to(dtype)


def _take_gradient(trial: AttackTrial, problem: BuiltProblem, x: Tensor, factor: float) -> list[Tensor]:
    """The gradient of the loss at ``x`` in the leaves of the problem, taken in the way of the trial."""
    leaves = problem.leaves
    for leaf in leaves:
        leaf.grad = None
    value = factor * problem.loss(x)
    if trial.loss_change == "wrong":
        slope = torch.linspace(-1, 1, x.numel(), dtype=x.dtype).view_as(x)
        value = value + WRONG_LOSS * (x * slope).sum()
    if trial.way == "grad":
        return list(torch.autograd.grad(value, leaves))
    if trial.way == "accumulate":
        return _accumulated_gradient(value, leaves)
    value.backward(inputs=list(leaves) if trial.way == "inputs" else None, retain_graph=trial.way == "twice")
    gradient = [cast(Tensor, leaf.grad).clone() for leaf in leaves if leaf.grad is not None]
    if trial.way == "twice":
        value.backward()  # the first pass is the one that is certified
    return gradient


def _accumulated_gradient(value: Tensor, leaves: tuple[Tensor, ...]) -> list[Tensor]:
    """The gradient that one pass adds to a gradient of 1000.

    Hooks record it: the difference of the sums would be rounded.
    """
    added: dict[int, Tensor] = {}
    handles = [leaf.register_hook(partial(added.__setitem__, number)) for number, leaf in enumerate(leaves)]
    for leaf in leaves:
        leaf.grad = torch.full_like(leaf, 1e3)
    value.backward()
    for handle in handles:
        handle.remove()
    return [added[number] for number in range(len(leaves))]


def _total_norm(parts: list[Tensor]) -> float:
    return math.sqrt(sum(float(part.double().square().sum()) for part in parts))
