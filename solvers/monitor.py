"""A certificate of the gradient on every n-th step of a training, around any solver."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from ._certificates.bound import CHANGED_PARAMETER, certificate, no_certificate
from ._certificates.derivative_bounds import (
    DerivativeBounds,
    HasDerivativeBounds,
    Smooth,
    SmoothLoss,
    checked_bound,
    stated_parameters,
)
from ._certificates.estimated_bounds import CountedProducts, EstimatedBounds, flat, probe_B_norm
from ._certificates.jacobian_norm import largest_singular_value
from ._certificates.loss_curvature import (
    LossCurvature,
    LossDerivatives,
    Multiple,
    as_multiple,
    loss_curvature,
    loss_derivatives,
)
from ._certificates.products import taped
from ._certificates.tape_recorder import TapedApplication
from ._certificates.training_step import ForwardRecorder, TrainingStep
from ._core.argument_checks import at_least
from ._core.batch import norm
from ._core.certificate import Certificate
from ._core.input_checks import require_solver
from ._core.maps import Loss, Map
from ._core.results import Solution
from ._core.tape import tape_ends
from .audit import audit

SAME = 1e-4
"""A cotangent within this relative distance of a multiple of the loss's counts as that multiple. The distance is added
to the error; if it is larger than rounding, the certificate is an estimate."""


class Monitorable(Protocol):
    """A solver, or another library with the same signature."""

    def __call__(self, T: Map, x0: Tensor, loss: Loss | None = None, /) -> Solution:
        """Call as ``Solver.__call__``."""
        ...


@dataclass(slots=True, eq=False)
class GradientMonitor:
    """A solver that certifies its own gradient on every n-th step of a training. The gradient is not changed.

    Call it in place of ``solver``. At the end of the backward pass of such a step, before the optimiser steps, it
    computes the certificate and passes it to ``log``. Without a backward pass nothing is logged, and after it nothing
    is kept. If there is no certificate, one with an infinite error and the reason in ``why`` is logged, because a
    diagnosis must not end a training. An error raised by ``log`` itself does.

    Cost of a certified step: one product, and ``DerivativeBounds.change`` for each taped application, about one
    application if T states bounds. Otherwise that is two applications and two products each, and ``2 · steps`` products
    for every ``renew`` certificates. An audit costs as much as ``certified``.

    The certificate is rigorous if T ``HasDerivativeBounds`` and the curvature of the loss is stated. Otherwise it is an
    estimate and may be wrong: ``‖J‖`` is a Lanczos estimate raised by its residual, ``‖B‖`` comes from a random
    cotangent, and changes of both from two points; ``1/(1−L)`` and each of the others is then doubled.

    The whole cotangent must arrive in one backward pass. Not supported: two solves that share parameters in one
    backward pass, ``DataParallel``, compiled models.

    Attributes:
        solver: the solver.
        log: called with the number of the backward pass, from 0, and the certificate.
        every: n; the backward passes 0, n, 2n, … are certified.
        audit: compute the sharp, two-sided certificate of ``audit``, which needs the loss.
        smoothness: Λ, the Lipschitz constant of ``∂ℓ/∂x`` of the loss as it is backpropagated, or a function of x, e.g.
            ``lambda x: 2 / x.numel()`` for a mean squared error. The loss must then depend on the parameters through x
            alone. By default, the loss given in the call is used, scaled to the cotangent that arrives; if it is not
            ``Smooth``, its curvature is estimated from two points.
        renew: certificates between two estimates of ``‖J‖`` and ``‖B‖``.
        steps: steps of the Lanczos iteration.
        budget: maximal number of applications and products of an audit.
        step: number of backward passes so far.
        latest: the last certificate; ``None`` before the first.

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
    _estimates: int = field(default=0, init=False, repr=False)
    _norms: tuple[float, float, float] = field(default=(0.0, 0.0, 0.0), init=False, repr=False)

    def __post_init__(self) -> None:
        require_solver(self.solver)
        for name in ("every", "renew", "steps", "budget"):
            at_least(name, getattr(self, name), 1)
        if self.smoothness is not None and not callable(self.smoothness):
            checked_bound("smoothness", self.smoothness)

    def __call__(self, T: Map, x0: Tensor, loss: Loss | None = None, /) -> Solution:
        """Solve as ``Solver.__call__`` does."""
        if not torch.is_grad_enabled():
            return self.solver(T, x0, loss)
        if loss is None and self.audit:
            raise ValueError("an audit needs the loss: call the GradientMonitor with (T, x0, loss)")
        if loss is None and self.smoothness is None:
            raise ValueError(
                "the curvature of the loss is not known: call the GradientMonitor with (T, x0, loss), or give it a "
                "smoothness, e.g. lambda x: 2 / x.numel() for a mean squared error"
            )
        due = self.step % self.every == 0
        recorder = ForwardRecorder(T) if due and not self.audit else None
        solution = self.solver(recorder or T, x0, loss)
        if not solution.x.requires_grad:
            return solution
        # A new tensor, because a hook on solution.x (deepinv sets one) may replace the cotangent before ours sees it.
        # Not a view, which could not be changed in place.
        x = solution.x.clone()
        self._listen(x, TrainingStep(T, loss, x, recorder, solution.certificates) if due else None)
        return dataclasses.replace(solution, x=x)

    def _listen(self, x: Tensor, step: TrainingStep | None) -> None:
        waiting = [step] if step is not None else []

        def begin(v: Tensor) -> None:
            number, self.step = self.step, self.step + 1
            if waiting:  # empty if the step is not due, or in a second pass over the same tape
                step = waiting.pop()
                step.begin(v)
                # Runs at the end of the pass, after the gradients of leaves, in the thread that called backward().
                torch.autograd.Variable._execution_engine.queue_callback(  # pyright: ignore[reportAttributeAccessIssue, reportPrivateUsage]
                    lambda: self._finish(number, step)
                )

        x.register_hook(begin)

    def _finish(self, number: int, step: TrainingStep) -> None:
        try:
            certify = self._audit if self.audit else self._certificate
            bound = no_certificate(CHANGED_PARAMETER) if step.parameters_changed else certify(step)
        except Exception as error:
            bound = no_certificate(f"{type(error).__name__}: {error}")
        step.free()
        self.latest = bound
        self.log(number, bound)

    def _certificate(self, step: TrainingStep) -> Certificate:
        if step.own_certificates:
            return step.own_certificates[-1]
        applications = step.differentiated()
        if not applications:
            raise ValueError("the gradient that was asked for does not come through T")
        if not bool(step.v.isfinite().all()):
            return no_certificate("the cotangent is not finite")
        size = norm(flat(list(step.gradients.values()), step.y))
        last = applications[-1]
        regularity, estimated = self._derivative_bounds(step, last)
        curvature, distance, other_loss = self._curvature(step, last.y - last.x)
        bound = certificate(
            applications, step.y, step.v, regularity, curvature.smoothness, curvature.direct, size
        )
        if not bound.error < math.inf:
            return bound
        if estimated:
            bound = dataclasses.replace(bound, rigorous=False, why=estimated)
        if distance:
            bound = dataclasses.replace(bound, adjoint=bound.adjoint + bound.amplification * distance)
        return bound.estimate(curvature.why, other_loss)

    def _audit(self, step: TrainingStep) -> Certificate:
        assert step.loss is not None
        # The tape of the solver may have leaves that are no parameters of T.
        tape = taped(step.map, step.y)
        on_tape = set(map(id, tape_ends(tape.y, start=tape.x).leaves))
        parameters = [leaf for leaf in step.parameters if id(leaf) in on_tape]
        gradient = [step.gradients.get(id(leaf), torch.zeros_like(leaf)) for leaf in parameters]
        multiple = _multiple(step)
        stated, factor = step.loss, multiple.factor

        def scaled(x: Tensor) -> Tensor:
            return factor * stated(x)

        loss: Loss = scaled
        if self.smoothness is not None:
            loss = SmoothLoss(scaled, self._stated_smoothness(step.y))
        elif isinstance(stated, Smooth):
            smoothness, direct = abs(factor) * stated.smoothness, abs(factor) * stated.direct
            loss = SmoothLoss(scaled, smoothness, direct, stated_parameters(stated))
        # The audit is about the given loss, even if the cotangent may belong to another one; `why` then says so.
        bound = audit(step.map, step.y, loss, parameters, gradient, budget=self.budget)
        return bound.estimate(multiple.why)

    def _derivative_bounds(self, step: TrainingStep, last: TapedApplication) -> tuple[DerivativeBounds, str]:
        """Return the bounds that T states, or estimates and a description of them."""
        bounds = step.map.regularity() if isinstance(step.map, HasDerivativeBounds) else None
        if bounds is not None:
            return bounds, ""
        products = CountedProducts(step.parameters)
        if self._estimates % self.renew == 0:
            value, residual = largest_singular_value(step.map, last.x, self.steps)
            self._norms = value, residual, probe_B_norm(products, taped(step.map, last.x))
        self._estimates += 1
        value, residual, B_norm = self._norms
        description = f"‖J‖ = {value:.4g} is an estimate, of residual {residual:.1e}"
        J_norm = value * math.sqrt(1 + residual)
        return EstimatedBounds(step.map, products, J_norm, B_norm, last.y - last.x), description

    def _curvature(self, step: TrainingStep, towards: Tensor) -> tuple[LossCurvature, float, str]:
        """Return the curvature of the loss, the distance of the cotangent to a multiple of its own, and why it may
        belong to another loss.
        """
        if self.smoothness is not None:
            return LossCurvature(self._stated_smoothness(step.y)), 0.0, ""
        assert step.loss is not None
        derivatives = loss_derivatives(step.loss, step.y)
        multiple = _multiple(step, derivatives)
        curvature = loss_curvature(step.loss, step.y, derivatives, towards)
        size = abs(multiple.factor)
        scaled = LossCurvature(size * curvature.smoothness, size * curvature.direct, curvature.why)
        return scaled, multiple.distance, multiple.why

    def _stated_smoothness(self, y: Tensor) -> float:
        assert self.smoothness is not None
        value = self.smoothness(y) if callable(self.smoothness) else self.smoothness
        return checked_bound("smoothness", value)


def _multiple(step: TrainingStep, derivatives: LossDerivatives | None = None) -> Multiple:
    """Return the cotangent as a multiple of that of the loss, since accumulation and float16 training scale losses."""
    assert step.loss is not None
    multiple = as_multiple(step.v, (derivatives or loss_derivatives(step.loss, step.y)).v)
    if not multiple.within(SAME):
        raise ValueError("the loss that was given is not the one that was backpropagated")
    return multiple
