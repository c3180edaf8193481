"""The certificate of every n-th step of a training, whoever wrote the loop: a solver goes in, a solver comes out."""

# torch.autograd and its hooks carry few types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from ._certificates.bound import STEPPED, certificate, none
from ._certificates.derivative_bounds import (
    DerivativeBounds,
    HasDerivativeBounds,
    Smooth,
    SmoothLoss,
    checked_bound,
    stated,
)
from ._certificates.estimated_bounds import CountedProducts, EstimatedBounds, flat, probe
from ._certificates.jacobian_norm import largest_singular_value
from ._certificates.loss_curvature import (
    LossCurvature,
    LossDerivatives,
    Multiple,
    loss_curvature,
    multiple,
    slope,
)
from ._certificates.products import taped
from ._certificates.tape_recorder import TapedApplication
from ._certificates.training_step import ForwardRecorder, TrainingStep
from ._core.argument_checks import at_least
from ._core.batch import norm
from ._core.certificate import Certificate
from ._core.input_checks import callable_solver
from ._core.maps import Loss, Map
from ._core.results import Solution
from ._core.tape import ends
from .audit import audit

SAME = 1e-4
"""A cotangent that differs by no more, relatively, from a multiple of the loss's is taken for that multiple; what it
differs by is charged, and makes an estimate where it is more than rounding."""


class Monitorable(Protocol):
    """What can be monitored: a solver, or another library behind the same signature."""

    def __call__(self, T: Map, x0: Tensor, loss: Loss | None = None, /) -> Solution:
        """As ``Solver.__call__``."""
        ...


@dataclass(slots=True, eq=False)
class GradientMonitor:
    """A solver that says, on every n-th step of a training, how wrong its gradient was; the gradient stays what it was.

    It is called in place of the solver. At the end of the backward pass of such a step, before the optimiser moves
    anything, the certificate is computed and handed to ``log``. Nothing is logged where there is no backward pass, and
    nothing is kept when it is over. A certificate that cannot be had is logged with an infinite error and its
    reason: a diagnosis ends no training (an error raised by ``log`` itself does).

    What a step that is looked at costs besides: one product, and for each taped application what
    ``DerivativeBounds.change`` takes, about an application where T knows its regularity. Where it does not, that is two
    applications and two products each, and ``2 · steps`` products more for every ``renew`` certificates. An ``audit``
    costs what ``certified`` does.

    The certificate is rigorous where T is ``HasDerivativeBounds`` and the curvature of the loss is known. Otherwise it
    is an estimate and may be wrong: ``‖J‖`` comes from a Lanczos iteration, raised by its residual, ``‖B‖`` from a
    random cotangent, and the changes of both from two points; ``1/(1−L)`` and each of the others is then doubled.

    The whole cotangent of the value must come in one backward pass, and the gradient that is looked at is all that
    this pass brings to the parameters of T: two solves with the same parameters in one pass are told apart by no
    one. Neither ``DataParallel`` nor a compiled model is provided for.

    Attributes:
        solver: what is monitored.
        log: called with the number of the backward pass, from 0, and the certificate.
        every: n; the passes 0, n, 2n, … are looked at.
        audit: take the sharp, two-sided certificate of ``audit``; it needs the loss, and nothing of the solver.
        smoothness: Λ, the Lipschitz constant of ``∂ℓ/∂x``, e.g. ``lambda x: 2 / x.numel()`` for a mean squared error,
            of the loss as it is backpropagated; it must see the parameters through x alone. By default the loss
            that comes with a call is asked, and scaled to the cotangent that arrives; if it is not ``Smooth``, a
            secant of it is taken.
        renew: certificates between two estimates of ``‖J‖`` and ``‖B‖``.
        steps: of the Lanczos iteration.
        budget: applications and products of an audit, at most.
        step: backward passes so far.
        latest: the last certificate; ``None`` before there is one.

    Raises:
        ValueError: ``every``, ``renew``, ``steps`` or ``budget`` is below 1, or ``smoothness`` below 0; in a call with
            gradients enabled, there is neither a loss nor a ``smoothness``, or no loss for an audit.
    """

    solver: Monitorable
    log: Callable[[int, Certificate], object]
    every: int = 20
    audit: bool = False
    smoothness: float | Callable[[Tensor], float] | None = None
    renew: int = 10
    steps: int = 20
    budget: int = 2000
    step: int = field(default=0, init=False)
    latest: Certificate | None = field(default=None, init=False)
    _estimated: int = field(default=0, init=False, repr=False)
    _estimate: tuple[float, float, float] = field(default=(0.0, 0.0, 0.0), init=False, repr=False)

    def __post_init__(self) -> None:
        callable_solver(self.solver)
        for name in ("every", "renew", "steps", "budget"):
            at_least(name, getattr(self, name), 1)
        if self.smoothness is not None and not callable(self.smoothness):
            checked_bound("smoothness", self.smoothness)

    def __call__(self, T: Map, x0: Tensor, loss: Loss | None = None, /) -> Solution:
        """As ``Solver.__call__``."""
        if not torch.is_grad_enabled():
            return self.solver(T, x0, loss)
        if loss is None and self.audit:
            raise ValueError("an audit needs the loss: call the Monitor with (T, x0, loss)")
        if loss is None and self.smoothness is None:
            raise ValueError(
                "the curvature of the loss is not known: call the Monitor with (T, x0, loss), or give it a "
                "smoothness, e.g. lambda x: 2 / x.numel() for a mean squared error"
            )
        due = self.step % self.every == 0
        through = ForwardRecorder(T) if due and not self.audit else None
        solution = self.solver(through or T, x0, loss)
        if not solution.x.requires_grad:
            return solution
        # Another tensor, since a hook of somebody else on x, as deepinv's, may exchange the cotangent before ours sees
        # it; and no view, which could not be changed in place.
        x = solution.x.clone()
        self._listen(x, TrainingStep(T, loss, x, through, solution.certificates) if due else None)
        return dataclasses.replace(solution, x=x)

    def _listen(self, x: Tensor, seen: TrainingStep | None) -> None:
        waiting = [seen] if seen is not None else []

        def begin(v: Tensor) -> None:
            number, self.step = self.step, self.step + 1
            if waiting:  # else it is no step to look at, or a second pass over the same tape
                step = waiting.pop()
                step.begin(v)
                # Runs when the pass is over, gradients of leaves included, in the thread that called it.
                torch.autograd.Variable._execution_engine.queue_callback(  # pyright: ignore[reportAttributeAccessIssue, reportPrivateUsage]
                    lambda: self._finish(number, step)
                )

        x.register_hook(begin)

    def _finish(self, number: int, step: TrainingStep) -> None:
        try:
            made = self._audit if self.audit else self._certificate
            found = none(STEPPED) if step.stepped else made(step)
        except Exception as error:
            found = none(f"{type(error).__name__}: {error}")
        step.free()
        self.latest = found
        self.log(number, found)

    def _certificate(self, step: TrainingStep) -> Certificate:
        if step.own:
            return step.own[-1]
        through = step.taped()
        if not through:
            raise ValueError("the gradient that was asked for does not come through T")
        if not bool(step.v.isfinite().all()):
            return none("the cotangent is not finite")
        size = norm(flat(list(step.gradients.values()), step.y))
        regularity, observed = self._regularity(step, through)
        bent, apart, other = self._curvature(step, through[-1].y - through[-1].x)
        found = certificate(through, step.y, step.v, regularity, bent.smoothness, bent.direct, size)
        if not found.error < math.inf:
            return found
        if observed:
            found = dataclasses.replace(found, rigorous=False, why=observed)
        if apart:
            found = dataclasses.replace(found, adjoint=found.adjoint + found.amplification * apart)
        return found.estimate(bent.why, other)

    def _audit(self, step: TrainingStep) -> Certificate:
        assert step.loss is not None
        # Of the tape that the solver left, not all leaves need be parameters.
        tape = taped(step.T, step.y)
        own = set(map(id, ends(tape.y, start=tape.x).leaves))
        parameters = [leaf for leaf in step.parameters if id(leaf) in own]
        given = [step.gradients.get(id(leaf), torch.zeros_like(leaf)) for leaf in parameters]
        came = _multiple(step)
        value = _Times(step.loss, came.factor)
        loss: Loss = value
        if self.smoothness is not None:
            loss = SmoothLoss(value, self._given(step.y))
        elif isinstance(step.loss, Smooth):
            size, known = abs(came.factor), step.loss
            loss = SmoothLoss(value, size * known.smoothness, size * known.direct, stated(known))
        # Whatever the cotangent was of, the audit is held against the loss that was told.
        return audit(step.T, step.y, loss, parameters, given, budget=self.budget).estimate(came.why)

    def _regularity(
        self, step: TrainingStep, through: list[TapedApplication]
    ) -> tuple[DerivativeBounds, str]:
        """What is known of T, and in words what was estimated."""
        known = step.T.regularity() if isinstance(step.T, HasDerivativeBounds) else None
        if known is not None:
            return known, ""
        pulls, last = CountedProducts(step.parameters), through[-1]
        if self._estimated % self.renew == 0:
            value, residual = largest_singular_value(step.T, last.x, self.steps)
            self._estimate = value, residual, probe(pulls, taped(step.T, last.x))
        self._estimated += 1
        value, residual, parametric = self._estimate
        observed = f"‖J‖ = {value:.4g} is an estimate, of residual {residual:.1e}"
        top = value * math.sqrt(1 + residual)
        return EstimatedBounds(step.T, pulls, top, parametric, last.y - last.x), observed

    def _curvature(self, step: TrainingStep, towards: Tensor) -> tuple[LossCurvature, float, str]:
        """The curvature of the loss, how far the cotangent is from its own, and why it may be that of another loss."""
        if self.smoothness is not None:
            return LossCurvature(self._given(step.y)), 0.0, ""
        assert step.loss is not None
        here = slope(step.loss, step.y)
        came, found = _multiple(step, here), loss_curvature(step.loss, step.y, here, towards)
        size = abs(came.factor)
        return LossCurvature(size * found.smoothness, size * found.direct, found.why), came.apart, came.why

    def _given(self, y: Tensor) -> float:
        assert self.smoothness is not None
        return checked_bound(
            "smoothness", self.smoothness(y) if callable(self.smoothness) else self.smoothness
        )


@dataclass(frozen=True, slots=True)
class _Times:
    """A multiple of a loss: gradients are scaled, by an accumulation of batches or for float16."""

    loss: Loss
    factor: float

    def __call__(self, x: Tensor) -> Tensor:
        return self.factor * self.loss(x)


def _multiple(step: TrainingStep, here: LossDerivatives | None = None) -> Multiple:
    """What multiple of the loss was backpropagated."""
    assert step.loss is not None
    found = multiple(step.v, (here or slope(step.loss, step.y)).v)
    if not found.within(SAME):
        raise ValueError("the loss that was given is not the one that was backpropagated")
    return found
