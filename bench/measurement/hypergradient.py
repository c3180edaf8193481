"""The float64 reference gradient, which says how wrong it may be."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, gmres
from torch import Tensor

from solvers import Anderson, DerivativeBounds, HasDerivativeBounds, Map, Smooth

from .jacobian_norm import pushes
from .stability import destination, spectral_radius

TOLERANCE = 1e-10
"""Both residuals of a reference gradient are below this, relative, or there is none."""
WORST = 1e-2
"""A gradient that may be wrong by more than this, relative, is no reference."""
SHARP = 1e-8
"""A certificate below this, relative, is shown in place of an estimate: at kinks it may be far too large."""
NOISE = 2 * torch.finfo(torch.float64).eps
"""What an application is thought to round off, relative, in each entry, for the estimate."""
RESTART, CYCLES = 60, 5
"""Of GMRES, for the steps of Newton's method."""

Basis: TypeAlias = Literal["certificate", "estimate"]


class NoReference(Exception):  # noqa: N818
    """No reference gradient could be certified; the message says why."""


@dataclass(frozen=True, slots=True)
class ReferenceGradient:
    """``∂ℓ/∂θ + Bᵀu`` with ``(I − Jᵀ)u = v`` at ``x = T(x)``, where plain iteration arrives and stays.

    Attributes:
        gradient: in all parameters, flattened, float64.
        residual: ``‖T(x) − x‖ / ‖T(x)‖``, the largest over the batch.
        adjoint_residual: ``‖v + Jᵀu − u‖ / ‖v‖`` over the whole batch.
        error: of the gradient, relative.
        basis: ``certificate``: a proven bound on the error. ``estimate``: how far the gradient moves where the
            equilibrium moves by what an application rounds off, through ``(I − J)⁻¹``, plus what is left of the
            adjoint equation, through the same; never less than either residual.
        radius: spectral radius of J there, measured from below; nan where T is known to be nonexpansive.
    """

    gradient: Tensor
    residual: float
    adjoint_residual: float
    error: float = math.nan
    basis: Basis = "estimate"
    radius: float = math.nan


def reference_gradient(
    T: Map,
    parameters: Sequence[Tensor],
    x0: Tensor,
    loss: Callable[[Tensor], Tensor],
    budget: int = 3000,
) -> ReferenceGradient:
    """The gradient of ``loss(x*)`` by the implicit function theorem, at the equilibrium of plain iteration.

    Anderson acceleration finds an equilibrium, and a step of Newton's method makes it as good as float64 allows. Where
    T is not known to be nonexpansive, plain iteration from ``x0`` must come there too, otherwise its own equilibrium is
    taken; and no eigenvalue of J may be found outside the unit disc. Both residuals are measured afresh, whatever the
    solves said of themselves.

    Args:
        T: the map, in float64.
        parameters: what to differentiate.
        x0: where to start; a one-dimensional one is a single sample.
        loss: of the equilibrium, a scalar; it may depend on the parameters too.
        budget: applications at most, and vector-Jacobian products at most, of each solve.

    Raises:
        NoOracle: a residual is above ``TOLERANCE``, plain iteration does not settle, the equilibrium repels it, or the
            error may be above ``WORST``.
        TypeError: ``x0`` is not float64.
    """
    if x0.dtype != torch.float64:
        raise TypeError(f"the oracle works in float64, not {x0.dtype}")
    x0 = x0.detach()
    regularity = T.regularity() if isinstance(T, HasDerivativeBounds) else None
    nonexpansive = regularity is not None and regularity.rigorous and regularity.L <= 1 + 1e-9  # rounded up
    x = _solved(T, x0, budget)
    if not nonexpansive:
        x = _plain(T, x0, x if _residual(x, _of(T, x)) <= TOLERANCE else None, budget)
    at = _At(T, x, loss, parameters, budget).solved()
    radius = math.nan
    if not nonexpansive:
        radius = spectral_radius(at.pulled, at.x)
        if radius >= 1:  # a saddle may have been passed by closely
            x = _plain(T, x0, None, budget)
            at = _At(T, x, loss, parameters, budget).solved()
            radius = spectral_radius(at.pulled, at.x)
        if not radius < 1:
            raise NoReference(
                f"plain iteration does not stay: the spectral radius of J there is {radius:.6g}"
            )
    error, basis = at.error(regularity, parameters)
    if not error <= WORST:
        raise NoReference(
            f"the gradient may be wrong by {error:.1e}, relative: I − J is too close to singular"
        )
    return ReferenceGradient(at.gradient, at.residual, at.adjoint_residual, error, basis, radius)


class _At:
    """The tape of T at a point; after ``solved``, the gradient at the equilibrium near it, and what is known of it."""

    def __init__(
        self,
        T: Map,
        x: Tensor,
        loss: Callable[[Tensor], Tensor],
        parameters: Sequence[Tensor],
        budget: int,
    ) -> None:
        self.T, self.loss, self.budget = T, loss, budget
        self.parameters = list(parameters)
        self._tape(x)

    def solved(self) -> _At:
        """Itself, at the equilibrium. Raises ``NoReference``."""
        self.residual = _residual(self.x, self.y)
        if not self.residual <= TOLERANCE:
            raise NoReference(
                f"the equilibrium is known to {self.residual:.1e} only after {self.budget} applications"
            )
        self._newton()
        self.residual = _residual(self.x, self.y)
        self.u = self._solve(torch.zeros_like(self.v))
        self.adjoint_residual = self._missed(self.u)
        if not self.adjoint_residual <= TOLERANCE:
            raise NoReference(
                f"the adjoint equation is solved to {self.adjoint_residual:.1e} only after {self.budget} products"
            )
        self.gradient = self._gradient(self.u)
        return self

    def _tape(self, x: Tensor) -> None:
        self.x = x.detach().requires_grad_()
        with torch.enable_grad():
            self.y = self.T(self.x)
            at = x.detach().requires_grad_()
            self.v, *self.direct = torch.autograd.grad(
                self.loss(at), [at, *self.parameters], materialize_grads=True, allow_unused=True
            )
        self.forward = _forward(self.y, self.x)

    def pulled(self, u: Tensor) -> Tensor:
        """``Jᵀu``."""
        if not self.y.requires_grad:
            return torch.zeros_like(u)
        return torch.autograd.grad(self.y, self.x, u, retain_graph=True, materialize_grads=True)[0]

    def _newton(self) -> None:
        """Steps until the residual does not shrink; what Anderson left is then what applications round off."""
        for _ in range(2):
            with torch.no_grad():
                gap = self.y - self.x
                if not gap.any():
                    return
                step = self._inverse(self.forward, gap, 1e-4)
                moved = self.x + step
                after = _of(self.T, moved) - moved
            # As long as a residual is rounding, its size says nothing.
            allowed = max(float(gap.norm()), 4 * NOISE * float(self.y.detach().norm()))
            if not bool(moved.isfinite().all()) or not float(after.norm()) <= allowed:
                return
            self._tape(moved)

    def _solve(self, u: Tensor) -> Tensor:
        """``(I − Jᵀ)u = v``, by Anderson acceleration, and once more by GMRES for what that leaves."""
        if not self.v.any():
            return torch.zeros_like(self.v)
        if not u.any():
            solve = Anderson(tol=TOLERANCE / 100, budget=self.budget, memory=10)
            with torch.no_grad():
                u = solve(lambda u: self.v + self.pulled(u), self.v).x.detach()
        for _ in range(2):
            refined = u + self._inverse(self.pulled, self.v + self.pulled(u) - u, 1e-4)
            if not self._missed(refined) < self._missed(u):
                break
            u = refined
        return u

    def _missed(self, u: Tensor) -> float:
        size = float(torch.linalg.vector_norm(self.v))
        missed = float(torch.linalg.vector_norm(self.v + self.pulled(u) - u))
        return missed / size if size > 0 else 0.0

    def _gradient(self, u: Tensor) -> Tensor:
        grads = self.direct
        if self.y.requires_grad:
            # Retained: what T closes over may be on a tape of the caller's.
            own = torch.autograd.grad(
                self.y, self.parameters, u, retain_graph=True, materialize_grads=True, allow_unused=True
            )
            grads = [g + d for g, d in zip(own, self.direct, strict=True)]
        return torch.cat([g.flatten() for g in grads]).cpu()

    def _inverse(self, product: Callable[[Tensor], Tensor], b: Tensor, rtol: float) -> Tensor:
        """``(I − product)⁻¹ b`` by GMRES; any accuracy will do for a correction."""
        n, size = b.numel(), float(b.norm())
        if size == 0:
            return torch.zeros_like(b)

        def applied(p: np.ndarray) -> np.ndarray:
            q = torch.from_numpy(np.ascontiguousarray(p)).view(b.shape).to(b)
            return (q - product(q)).detach().cpu().numpy().ravel()

        A = LinearOperator((n, n), matvec=applied, dtype=np.float64)  # pyright: ignore[reportCallIssue]
        right = (b / size).detach().cpu().numpy().ravel()
        found, _ = gmres(A, right, rtol=rtol, restart=min(RESTART, n), maxiter=CYCLES)
        return size * torch.from_numpy(found).view(b.shape).to(b)

    def error(self, regularity: DerivativeBounds | None, parameters: Sequence[Tensor]) -> tuple[float, Basis]:
        """The error of the gradient, relative, and what it rests on."""
        size = float(self.gradient.norm())
        if (
            regularity is not None
            and regularity.rigorous
            and regularity.L < 1
            and isinstance(self.loss, Smooth)
        ):
            told = getattr(regularity, "parameters", None)
            if told is not None and {id(p) for p in parameters} <= {id(p) for p in told}:
                bound = self._bound(regularity, self.loss)
                if bound <= SHARP * size or size == 0:
                    return (
                        bound / (size - bound) if size > bound else 0.0 if not bound else math.inf
                    ), "certificate"
        return self._estimate(), "estimate"

    def _bound(self, regularity: DerivativeBounds, loss: Smooth) -> float:
        """See ``solvers._certificates.bound`` for the proof."""
        rounding = getattr(regularity, "rounding", None)
        inverse, eps = 1 / (1 - regularity.L), 10 * torch.finfo(torch.float64).eps
        own = rounding(self.x.detach()) if rounding else 10 * eps * float(self.y.detach().norm())
        distance = inverse * (float((self.y - self.x).detach().norm()) + own)
        change = regularity.change(self.x.detach(), self.u, distance)
        left = float((self.v + self.pulled(self.u) - self.u).norm()) + eps * float(
            self.u.norm() + self.v.norm()
        )
        moved = loss.smoothness * distance + change.J + left
        return loss.direct * distance + change.B + change.size * inverse * moved

    def _estimate(self) -> float:
        """How far the gradient moves with the equilibrium, moved by what rounding moves it, and with the adjoint.

        Corrections of the adjoint count whether or not they leave less of its equation: one that is solved to rounding
        cannot be refined, and is wrong by what is left all the same.
        """
        size = float(self.gradient.norm())
        with torch.no_grad():
            there = self.x + self._inverse(self.forward, self.y - self.x + _rounded(self.y), 1e-2)
        other = _At(self.T, there, self.loss, self.parameters, self.budget)
        gap = sum(
            float((at._gradient(self.u + at._correction(self.u)) - self.gradient).norm())
            for at in (self, other)
            if at.v.any()
        )
        if not size:
            return 0.0 if not gap else math.inf
        return max(gap / size, self.residual, self.adjoint_residual)

    def _correction(self, u: Tensor) -> Tensor:
        """``(I − Jᵀ)⁻¹ r`` of what u leaves, ``r = v + Jᵀu − u`` measured afresh, and of what that rounds off."""
        there = self.v + self.pulled(u)
        return self._inverse(self.pulled, there - u + _rounded(there), 1e-2)


def _rounded(y: Tensor) -> Tensor:
    """What an application that gives y may round off, of the same random signs every time."""
    rng = torch.Generator().manual_seed(0)
    sign = torch.randint(0, 2, y.shape, generator=rng, dtype=torch.float64).to(y) * 2 - 1
    return NOISE * y.abs() * sign


def _solved(T: Map, x0: Tensor, budget: int) -> Tensor:
    with torch.no_grad():
        return Anderson(tol=TOLERANCE / 100, budget=budget, memory=10)(T, x0).x.detach()


def _plain(T: Map, x0: Tensor, x: Tensor | None, budget: int) -> Tensor:
    """The equilibrium of plain iteration: x, if it goes there. Raises ``NoReference``."""
    there = destination(T, x0, x, budget)
    if there is None:
        raise NoReference(
            f"the equilibrium is known to no estimator's iteration: plain iteration settles nowhere in {budget} "
            f"applications"
        )
    if x is not None and there is x:
        return x
    found = _solved(T, there, budget)
    if not float((found - there).norm()) <= 1e-3 * float(there.norm()):
        raise NoReference(
            "plain iteration does not stay: the acceleration leads elsewhere from where it settles"
        )
    return found


def _forward(y: Tensor, x: Tensor) -> Callable[[Tensor], Tensor]:
    """Products with J; with nothing where T has no second derivatives."""
    try:
        return pushes(y, x) or torch.zeros_like
    except RuntimeError:
        return torch.zeros_like


@torch.no_grad()
def _of(T: Map, x: Tensor) -> Tensor:
    return T(x)


@torch.no_grad()
def _residual(x: Tensor, y: Tensor) -> float:
    """Relative, the largest over the batch."""
    gap, size = ((z.flatten(1) if z.ndim > 1 else z[None]).norm(dim=1) for z in (y - x, y))
    return float(torch.where(gap > 0, gap / size, gap).max())
