"""Backward mode that solves until the error of the gradient is certified."""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .._certificates.bound import CHANGED_PARAMETER
from .._certificates.loss_curvature import as_multiple
from .._certificates.products import TapedMap
from .._certificates.search import EQUILIBRIUM_FRACTION, CertifiedSearch
from .._certificates.taped_gradient import GradientParts
from .._certificates.wide_search import settle_in_float64
from .._core.argument_checks import at_least, positive
from .._core.certificate import Certificate
from .._core.maps import Loss, Map
from .._core.results import FixedPoint, Solution
from .modes import exchange_cotangent

AHEAD = 0.002
"""The first approach goes to a relative residual of ``AHEAD · rtol · (1 − L)²``, where most kinks are resolved."""
INVERSE = 10.0
"""``1/(1−L)`` if L is not known yet."""
SAME = 1e-6
"""Cotangents within this relative distance of a multiple count as that multiple; the rest is added to the error."""
ADJOINT = 0.01
"""The adjoint equation is solved to ``ADJOINT · rtol`` if there can be no certificate."""


class StagnationWarning(RuntimeWarning):
    """A certified solve has stopped making progress before its certificate met the target."""


@dataclass(frozen=True, slots=True)
class CertifiedBackward:
    """Solve for the equilibrium and the adjoint no further than the certificate requires.

    Where the rounding of the dtype ends progress, it goes on in float64 if the derivative bounds of T have a map
    ``in_float64``; if nothing makes progress then, it ends with a ``StagnationWarning``.

    Attributes:
        rtol: relative error of the gradient, ``‖g − F'‖ ≤ rtol ‖F'‖``.
        budget: maximal number of applications and products together.

    Raises:
        ValueError: ``rtol`` is not positive, or ``budget`` is below 1; in a call, T or the loss states a constant that
            is negative or nan.
        RuntimeError: in the backward pass, a parameter of T was changed in place after the solve.
    """

    transformable: ClassVar[bool] = False
    rtol: float
    budget: int

    def __post_init__(self) -> None:
        positive("rtol", self.rtol)
        at_least("budget", self.budget, 1)

    def __call__(self, T: Map, point: FixedPoint, loss: Loss | None = None, /) -> Solution:
        search = CertifiedSearch(T, loss, self.goal, ADJOINT * self.rtol, self.budget, point.x)
        bounds = search.bounds
        inverse = 1 / (1 - bounds.L) if bounds is not None and 0 <= bounds.L < 1 else INVERSE
        ahead = AHEAD * self.rtol / inverse**2
        if not torch.is_grad_enabled():
            search.approach(ahead)
            return Solution(T(search.x), search.forward, 1)
        search.approach_watched(EQUILIBRIUM_FRACTION * self.rtol / (1 + self.rtol), ahead)
        search.record()
        if not search.may_have_parameters:  # if y is on a tape at all, then because of x
            return Solution(search.tape.y.detach(), search.forward, 1, recomputed=search.recomputed)
        known = None
        if loss is not None:
            search.settle()
            if search.stalled:
                settle_in_float64(search)
            _warn_if_stalled(search, self.rtol)
            known = search.certificates[0]
        solve = _CertifiedAdjoint(self.rtol, search, known, search.tape.first_node)
        saved = (search.tape.y, search.tape.x)
        if known is not None:
            assert search.u is not None
            saved = (*saved, search.u, search.v)
        y = exchange_cotangent(search.tape.y, solve, *saved)
        search.release()
        return Solution(y, search.forward, 1, search.adjoint, search.recomputed, search.certificates)

    def goal(self, gradient: GradientParts) -> float:
        """Return the error ε allowed of g: ``ε = rtol/(1 + rtol) ‖g‖`` implies ``‖g − F'‖ ≤ rtol ‖F'‖``."""
        return self.rtol / (1 + self.rtol) * gradient.size


@dataclass(frozen=True, slots=True)
class _CertifiedAdjoint:
    """Exchanges a cotangent for its adjoint: the one solved for with the given loss, or a new one for another loss.

    Attributes:
        known: the certificate for the given loss; ``None`` without a loss.
        first_node: see ``TapedMap``.
    """

    rtol: float
    search: CertifiedSearch
    known: Certificate | None
    first_node: int

    def __call__(
        self, v: Tensor, y: Tensor, x: Tensor, u: Tensor | None = None, known_v: Tensor | None = None
    ) -> Tensor:
        search = self.search
        if search.versions.changed is not None:
            raise RuntimeError(CHANGED_PARAMETER)
        if self.known is not None and u is not None and known_v is not None:
            multiple = as_multiple(v, known_v)
            if multiple.within(SAME):
                bound = self.known.times(abs(multiple.factor))
                if multiple.distance:
                    error = bound.adjoint + bound.amplification * multiple.distance
                    bound = dataclasses.replace(bound, adjoint=error)
                search.certificates[:] = [bound.estimate(multiple.why)]
                return multiple.factor * u
        # The loss is unknown, so x cannot be moved; only the adjoint equation is solved, for this cotangent.
        search.restart(TapedMap(x, y, self.first_node), v)
        search.settle()
        _warn_if_stalled(search, self.rtol)
        assert search.u is not None
        u = search.u
        search.release()
        return u


def _warn_if_stalled(search: CertifiedSearch, rtol: float) -> None:
    if not search.stalled:
        return
    (bound,) = search.certificates
    name = str(search.x.dtype).removeprefix("torch.")
    if search.loss is None:
        cure = "give it the loss, solver(T, x0, loss)"
    elif bound.relative == float("inf"):
        cure = "give T a regularity, or use a solver with a tolerance, such as deq"
    else:
        cure = f"ask for an rtol of {1.1 * bound.relative:.1g} or more"
    if search.x.dtype != torch.float64:
        cure = f"solve in float64, or {cure}"
    warnings.warn(
        f"certified({rtol:g}) stopped at a certified relative error of {bound.relative:.2g}, "
        f"because nothing makes progress in {name}: {cure}",
        StagnationWarning,
        stacklevel=2,
    )
