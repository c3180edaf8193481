"""The pull of a gradient that goes on until its certificate is met."""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .._certificates.bound import STEPPED
from .._certificates.loss_curvature import LossDerivatives, multiple
from .._certificates.products import TapedMap
from .._certificates.search import CertifiedGradient, CertifiedSearch
from .._core.argument_checks import at_least, positive
from .._core.certificate import Certificate
from .._core.maps import Loss, Map
from .._core.results import FixedPoint, Solution
from .modes import exchanged

AHEAD = 0.002
"""The first approach goes to ``AHEAD · rtol · (1 − L)²``: kinks are resolved there, as a rule."""
INVERSE = 10.0
"""``1/(1−L)``, where L is not known yet."""
SAME = 1e-6
"""Cotangents that differ by no more, relatively and up to a factor, are taken for one; the difference is charged."""
ADJOINT = 0.01
"""The adjoint equation is solved to this times ``rtol`` where there can be no certificate."""


class StagnationWarning(RuntimeWarning):
    """A solve that nothing gets further has ended before its certificate was met."""


@dataclass(frozen=True, slots=True)
class CertifiedBackward:
    """Approach the equilibrium, and solve the adjoint equation, as far as a certificate asks for, and no further.

    Where nothing gets further, as at the rounding of the dtype, it ends there with a ``StagnationWarning``.

    Attributes:
        rtol: relative error of the gradient to stay below.
        budget: applications and products at most, taken together.

    Raises:
        ValueError: ``rtol`` is not positive, or ``budget`` is below 1; from a call, a constant that T or the loss gives
            is negative or nan.
        RuntimeError: on the way back, a parameter of T has been changed in place since.
    """

    transformable: ClassVar[bool] = False
    rtol: float
    budget: int

    def __post_init__(self) -> None:
        positive("rtol", self.rtol)
        at_least("budget", self.budget, 1)

    def __call__(self, T: Map, at: FixedPoint, loss: Loss | None = None, /) -> Solution:
        search = CertifiedSearch(T, loss, self.goal, ADJOINT * self.rtol, self.budget, at.x)
        known = search.known
        inverse = 1 / (1 - known.L) if known is not None and 0 <= known.L < 1 else INVERSE
        search.approach(AHEAD * self.rtol / inverse**2)
        if not torch.is_grad_enabled():
            return Solution(T(search.x), search.forward, 1)
        search.stand()
        if not search.learns:  # x alone has put it on a tape, if anything has
            return Solution(search.tape.y.detach(), search.forward, 1, recomputed=search.recomputed)
        told = None
        if loss is not None:
            _settle(search, self.rtol)
            told = search.found[0]
        way = _WayBack(self.rtol, search, told, search.tape.since)
        kept = (search.tape.y, search.tape.x)
        if told is not None:
            assert search.u is not None
            kept = (*kept, search.u, search.v)
        y = exchanged(search.tape.y, way, *kept)
        search.leave()
        return Solution(y, search.forward, 1, search.solves, search.recomputed, search.found)

    def goal(self, gradient: CertifiedGradient) -> float:
        """``‖g − F'‖ ≤ rtol ‖F'‖`` follows from ``‖g − F'‖ ≤ rtol/(1 + rtol) ‖g‖``."""
        return self.rtol / (1 + self.rtol) * gradient.size


@dataclass(frozen=True, slots=True)
class _WayBack:
    """What exchanges a cotangent for its adjoint: the one that is there already, or a new one for another loss.

    Attributes:
        told: the certificate of the loss that was told.
        since: see ``TapedMap``.
    """

    rtol: float
    search: CertifiedSearch
    told: Certificate | None
    since: int

    def __call__(
        self, v: Tensor, y: Tensor, x: Tensor, u: Tensor | None = None, known: Tensor | None = None
    ) -> Tensor:
        search = self.search
        if search.versions.stepped is not None:
            raise RuntimeError(STEPPED)
        if self.told is not None and u is not None and known is not None:
            given = multiple(v, known)
            if given.within(SAME):
                found = self.told.times(abs(given.factor))
                charged = found.adjoint + found.amplification * given.apart if given.apart else found.adjoint
                search.found[:] = [dataclasses.replace(found, adjoint=charged).estimate(given.why)]
                return given.factor * u
        # No loss was given, or another one came back: the point has to do as it is.
        search.loss, search.u, search.a, search.here, search.v = None, None, None, LossDerivatives(v, {}), v
        search.on = TapedMap(x, y, self.since)
        _settle(search, self.rtol)
        assert search.u is not None
        found = search.u
        search.leave()
        return found


def _settle(search: CertifiedSearch, rtol: float) -> None:
    """``search.settle()``, with a warning where nothing got further."""
    search.settle()
    if not search.stalled:
        return
    (found,) = search.found
    name = str(search.x.dtype).removeprefix("torch.")
    cure = (
        "tell it the loss"
        if search.loss is None
        else f"ask for an rtol of {1.1 * found.relative:.1g} or more"
    )
    if search.loss is not None and found.relative == float("inf"):
        cure = "give T a regularity, or take a solver with a tolerance of its own such as deq"
    if search.x.dtype != torch.float64:
        cure = f"solve in float64, or {cure}"
    warnings.warn(
        f"certified({rtol:g}) stopped at a certified relative error of {found.relative:.2g}, "
        f"since nothing got further in {name}: {cure}",
        StagnationWarning,
        stacklevel=2,
    )
