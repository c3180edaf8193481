"""Mutants of gradient estimators, operators, the loss, the certificate and the diagnostics."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast
from unittest.mock import patch

import torch
from deepinv.physics import BlurFFT
from torch import Tensor

from bench.measurement.jacobian_norm import JacobianNorm
from bench.operators import ForwardBackward
from bench.penalties import Penalty, Wavelets, WeightedPenalty
from bench.penalties.shrinkage_bounds import ShrinkageBounds
from solvers import Anderson, FixedPoint, FixedSteps, Picard, Solution, Solver, TruncatedBackprop
from solvers._adjoint.adjoint_map import TapedAdjoint
from solvers._backward import modes

from ..claims import certified_runs
from ..engine import Mutant, mutant
from ..instances import QuadraticLoss, diagnostics
from .wrong_certificates import (
    change_without_kinks,
    constant_derivatives,
    overconfident_audit,
    patched_certificate,
)

BACKPROP = TruncatedBackprop.__call__
PROX, ANALYSE = WeightedPenalty.prox, Wavelets.analyse


def _through_restarts(self: Solver, T: Any, x0: Tensor, loss: Any = None, /) -> Solution:
    return self.backward_mode(T, self.forward_solver(T, x0))


def _layers(more: int) -> Callable[..., Solution]:
    def call(self: TruncatedBackprop, T: Any, equilibrium: FixedPoint, loss: Any = None, /) -> Solution:
        return BACKPROP(TruncatedBackprop(max(1, self.steps + more)), T, equilibrium)

    return call


def _restarted(count_steps: Callable[[int, int], int]) -> Callable[..., Solver]:
    """A constructor of a solver whose forward solve makes another number of steps than K·R."""

    def make(label: str, forward_solver: FixedSteps, backward_mode: TruncatedBackprop) -> Solver:
        K = backward_mode.steps
        return Solver(label, FixedSteps(max(0, count_steps(K, forward_solver.steps // K))), backward_mode)

    return make


def _from_start(label: str, forward_solver: FixedSteps, backward_mode: TruncatedBackprop) -> Solver:
    return Solver(label, FixedSteps(min(backward_mode.steps, forward_solver.steps)), backward_mode)


def _answer(change: Callable[[Tensor, Tensor], Tensor]) -> Any:
    """A backward pass that returns ``change(u, v)``, where u is the adjoint and v the cotangent."""
    right = modes._Exchange.backward

    def backward(ctx: Any, v: Tensor) -> Any:
        u, *rest = right(ctx, v)
        return change(cast(Tensor, u), v), *rest

    return staticmethod(backward)


def _not_transposed(self: TapedAdjoint, u: Tensor) -> Tensor:
    with torch.enable_grad():
        w = torch.zeros_like(self.y, requires_grad=True)
        (g,) = torch.autograd.grad(self.y, self.x, w, create_graph=True, materialize_grads=True)
        if not g.requires_grad:
            return torch.zeros_like(u)
        (out,) = torch.autograd.grad(g, w, u, materialize_grads=True)
    return out.detach()


def _minus(self: TapedAdjoint, u: Tensor) -> Tensor:
    return -LINEAR(self, u)


def _twice(physics: Any) -> Callable[[Tensor], Tensor]:
    return lambda x: physics.A(physics.A(x))


def _mean(self: QuadraticLoss, x: Tensor, theta: Tensor) -> Tensor:
    return self.q / 2 * (x - self.target).square().mean() + theta @ (self.M @ x)


def _with_weights(self: WeightedPenalty, value: Tensor, z: Tensor, step: Tensor) -> Tensor:
    with patch.dict(self._parameters, {"log_weights": value}):
        return PROX(self, z, step)


def _detached_weights(self: WeightedPenalty, z: Tensor, step: Tensor) -> Tensor:
    return _with_weights(self, self.log_weights.detach(), z, step) + 0 * self.log_weights.sum()


def _stale_weights(self: WeightedPenalty, z: Tensor, step: Tensor) -> Tensor:
    # The values of the weights stay those of the start, but their derivative is right.
    now = self.log_weights
    return _with_weights(self, now - now.detach() + math.log(Penalty("", 0, 0).weight), z, step)


def _threshold_without_step(self: WeightedPenalty, z: Tensor, step: Tensor) -> Tensor:
    return _with_weights(self, self.log_weights - step.log(), z, step)


def _detached_step(self: ForwardBackward, x: Tensor, y: Tensor, physics: Any, *, data: Any = None) -> Tensor:
    step = self.log_step.exp()
    return self.prior.prox(x - step.detach() * physics.A_adjoint(physics.A(x) - y), step)


def _skewed(self: Wavelets, x: Tensor) -> Tensor:
    c = ANALYSE(self, x)
    return c + 0.3 * c.roll(1, -1)


def _single_precision(
    self: TruncatedBackprop, T: Any, equilibrium: FixedPoint, loss: Any = None, /
) -> Solution:
    solved = BACKPROP(self, T, equilibrium)
    return replace(solved, x=solved.x.float().double())


def _one_later(kind: type[Picard] | type[Anderson]) -> Callable[..., FixedPoint]:
    right = kind.__call__

    def call(self: Any, T: Any, x0: Tensor, /) -> FixedPoint:
        solved = right(self, T, x0)
        return FixedPoint(T(solved.x), solved.report)

    return call


def _one_power_step(T: Any, x: Tensor, steps: int = 50) -> JacobianNorm:
    return POWER(T, x, 1)


LINEAR = TapedAdjoint.linear
POWER = diagnostics.jacobian_norm


RESTARTED = sys.modules["solvers.restarted_jfb"]
DATA_TERM = sys.modules["bench.operators.data_fidelity"]
EXCHANGE = modes._Exchange

ESTIMATOR_MUTANTS: tuple[Mutant, ...] = (
    mutant("gradient flows through the restarts", Solver, "__call__", _through_restarts, "C18", "C3"),
    mutant("K−1 recorded layers", TruncatedBackprop, "__call__", _layers(-1), "C3", "C18"),
    mutant("K+1 recorded layers", TruncatedBackprop, "__call__", _layers(+1), "C3", "C18"),
    mutant("R−1 restarts", RESTARTED, "Solver", _restarted(lambda K, R: K * (R - 1)), "C18"),
    mutant("R+1 restarts", RESTARTED, "Solver", _restarted(lambda K, R: K * (R + 1)), "C18"),
    mutant("every restart begins again from x0", RESTARTED, "Solver", _from_start, "C18", "C7"),
    mutant("the step size is detached in one branch", ForwardBackward, "forward", _detached_step, "C20"),
    mutant("the weights are detached", WeightedPenalty, "prox", _detached_weights, "C11", "real C1"),
    mutant("weights stale after a step", WeightedPenalty, "prox", _stale_weights, "real C1"),
    Mutant(
        "A in place of Aᵀ",
        ((BlurFFT, "A_adjoint", BlurFFT.A), (DATA_TERM, "normal_operator", _twice)),
        ("real C1",),
    ),
    mutant("J in place of Jᵀ", TapedAdjoint, "linear", _not_transposed, "C1", "C2"),
    mutant("wrong sign in the adjoint equation", TapedAdjoint, "linear", _minus, "C1", "C3"),
    mutant("the adjoint solve is skipped", EXCHANGE, "backward", _answer(lambda u, v: v), "C1", "C3"),
    mutant(
        "the first Neumann term is missing", EXCHANGE, "backward", _answer(lambda u, v: u - v), "C3", "C1"
    ),
    mutant(
        "the last Neumann term is missing",
        sys.modules["solvers.neumann"],
        "FixedSteps",
        lambda n: FixedSteps(max(0, n - 1)),
        "C3",
    ),
    mutant("mean in place of sum in the loss", QuadraticLoss, "__call__", _mean, "C3", "C18"),
    mutant("the threshold forgets τ", WeightedPenalty, "prox", _threshold_without_step, "C20"),
    mutant("a transform that is not orthogonal", Wavelets, "analyse", _skewed, "C10"),
    mutant(
        "float32 where the check says float64", TruncatedBackprop, "__call__", _single_precision, "C18", "C3"
    ),
    mutant("power iteration stopped after one step", diagnostics, "jacobian_norm", _one_power_step, "C17"),
    mutant(
        "residual measured before the last iteration (Picard)", Picard, "__call__", _one_later(Picard), "C8"
    ),
    mutant(
        "residual measured before the last iteration (Anderson)",
        Anderson,
        "__call__",
        _one_later(Anderson),
        "C8",
    ),
    Mutant(
        "certificate without its 1/(1−L)",
        patched_certificate(
            adjoint=lambda c: c.adjoint * (1 - c.L), equilibrium=lambda c: c.equilibrium * (1 - c.L)
        ),
        ("C13", "C24", "C26", "C27"),
    ),
    Mutant(
        "certificate without the change of J",
        patched_certificate(regularity=constant_derivatives(J=0.0)),
        ("C13", "C24"),
    ),
    Mutant(
        "certificate without the change of B",
        patched_certificate(regularity=constant_derivatives(B=0.0)),
        ("C13", "C24"),
    ),
    Mutant(
        "certificate without the curvature of the loss",
        patched_certificate(smoothness=lambda _: 0.0),
        ("C13", "C24"),
    ),
    Mutant(
        "certificate that takes the adjoint equation for solved",
        patched_certificate(adjoint=lambda c: 0.0),
        ("C13", "C24", "C26", "C27"),
    ),
    mutant(
        "audit that takes its own gradient for exact", certified_runs, "audit", overconfident_audit, "C26"
    ),
    mutant("regularity that ignores the kinks", ShrinkageBounds, "change", change_without_kinks, "real C13"),
)
