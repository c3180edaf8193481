"""Solve the equilibrium and the adjoint equation of a map in float64, as exactly as rounding allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, gmres
from torch import Tensor

from solvers import Anderson, Map

from .jacobian_norm import jacobian_product

TOLERANCE = 1e-10
"""Largest relative residual of either equation that a reference gradient may have."""
NOISE = 2 * torch.finfo(torch.float64).eps
"""Relative rounding error of each entry of ``T(x)``, assumed for estimates."""
RESTART, CYCLES = 60, 5
"""GMRES in corrections: vectors between restarts, and restarts."""


class NoReference(Exception):  # noqa: N818
    """No reference gradient is accurate enough; the message gives the reason."""


class TapedPoint:
    """One application of T on a tape, with the gradients of the loss at the same point.

    Attributes:
        x, y: the point, and ``T(x)``.
        v: gradient of the loss in x.
        direct: gradients of the loss in the parameters at fixed x.
        jvp: ``w -> Jw``; zero if T cannot be differentiated twice.
    """

    def __init__(
        self, T: Map, x: Tensor, loss: Callable[[Tensor], Tensor], parameters: Sequence[Tensor]
    ) -> None:
        self.T, self.loss, self.parameters = T, loss, list(parameters)
        self.x = x.detach().requires_grad_()
        with torch.enable_grad():
            self.y = T(self.x)
            leaf = x.detach().requires_grad_()
            self.v, *self.direct = torch.autograd.grad(
                loss(leaf), [leaf, *self.parameters], materialize_grads=True, allow_unused=True
            )
        try:
            self.jvp = jacobian_product(self.y, self.x) or torch.zeros_like
        except RuntimeError:
            self.jvp = torch.zeros_like

    def moved_to(self, x: Tensor) -> TapedPoint:
        """The same at another point."""
        return TapedPoint(self.T, x, self.loss, self.parameters)

    def vjp(self, u: Tensor) -> Tensor:
        """``Jᵀu``."""
        if not self.y.requires_grad:
            return torch.zeros_like(u)
        return torch.autograd.grad(self.y, self.x, u, retain_graph=True, materialize_grads=True)[0]

    def adjoint_gap(self, u: Tensor) -> Tensor:
        """``v + Jᵀu − u``."""
        return self.v + self.vjp(u) - u

    def gradient(self, u: Tensor) -> Tensor:
        """``∂ℓ/∂θ + Bᵀu``, flattened, on the CPU."""
        grads = self.direct
        if self.y.requires_grad:
            # The tape is retained, for T may close over tensors on a tape of the caller's.
            products = torch.autograd.grad(
                self.y, self.parameters, u, retain_graph=True, materialize_grads=True, allow_unused=True
            )
            grads = [product + d for product, d in zip(products, self.direct, strict=True)]
        return torch.cat([g.flatten() for g in grads]).cpu()


@dataclass(frozen=True, slots=True)
class ImplicitGradient:
    """Solution of both equations, and the gradient.

    Attributes:
        point: tape at the equilibrium.
        u: adjoint.
        residual: ``‖T(x) − x‖ / ‖T(x)‖``, the largest over the batch.
        adjoint_residual: ``‖v + Jᵀu − u‖ / ‖v‖`` over the whole batch.
        gradient: in all parameters, flattened.
    """

    point: TapedPoint
    u: Tensor
    residual: float
    adjoint_residual: float
    gradient: Tensor


def find_fixed_point(T: Map, x0: Tensor, budget: int) -> tuple[Tensor, float]:
    """The point where Anderson acceleration ends, and its relative residual, measured afresh."""
    with torch.no_grad():
        x = Anderson(tol=TOLERANCE / 100, budget=budget, memory=10)(T, x0).x.detach()
        return x, _residual(x, T(x))


def implicit_gradient_at(
    T: Map, x: Tensor, loss: Callable[[Tensor], Tensor], parameters: Sequence[Tensor], budget: int
) -> ImplicitGradient:
    """Refine the equilibrium x, and solve the adjoint equation there.

    Raises:
        NoReference: a relative residual is above ``TOLERANCE``.
    """
    point = TapedPoint(T, x, loss, parameters)
    residual = _residual(point.x, point.y)
    if not residual <= TOLERANCE:
        raise NoReference(f"the equilibrium has a residual of {residual:.1e} after {budget} applications")
    point = _newton(point)
    u = _adjoint(point, budget)
    adjoint_residual = _adjoint_residual(point, u)
    if not adjoint_residual <= TOLERANCE:
        raise NoReference(f"the adjoint has a residual of {adjoint_residual:.1e} after {budget} products")
    return ImplicitGradient(point, u, _residual(point.x, point.y), adjoint_residual, point.gradient(u))


def solve_linear(product: Callable[[Tensor], Tensor], b: Tensor, rtol: float) -> Tensor:
    """Approximate ``(I − product)⁻¹ b`` by GMRES. As a correction it may be inaccurate: callers measure the effect."""
    n, size = b.numel(), float(b.norm())
    if size == 0:
        return torch.zeros_like(b)

    def applied(p: np.ndarray) -> np.ndarray:
        q = torch.from_numpy(np.ascontiguousarray(p)).view(b.shape).to(b)
        return (q - product(q)).detach().cpu().numpy().ravel()

    A = LinearOperator((n, n), matvec=applied, dtype=np.float64)  # pyright: ignore[reportCallIssue]
    # b may be as small as the rounding of x: scaled to norm 1.
    right = (b / size).detach().cpu().numpy().ravel()
    solution, _ = gmres(A, right, rtol=rtol, restart=min(RESTART, n), maxiter=CYCLES)
    return size * torch.from_numpy(solution).view(b.shape).to(b)


def _newton(point: TapedPoint) -> TapedPoint:
    """Take up to two Newton steps, while the residual shrinks or is rounding.

    Anderson acceleration stops on a residual; for a slow contraction the distance to the equilibrium is much larger.
    """
    for _ in range(2):
        with torch.no_grad():
            gap = point.y - point.x
            if not gap.any():
                break
            x = point.x + solve_linear(point.jvp, gap, 1e-4)
            gap_after = point.T(x) - x
        # A residual of the size of rounding may grow by chance though the point is better.
        allowed = max(float(gap.norm()), 4 * NOISE * float(point.y.detach().norm()))
        if not bool(x.isfinite().all()) or not float(gap_after.norm()) <= allowed:
            break
        point = point.moved_to(x)
    return point


def _adjoint(point: TapedPoint, budget: int) -> Tensor:
    """Solve ``(I − Jᵀ)u = v`` by Anderson acceleration, then refine by GMRES on the remaining gap."""
    if not point.v.any():
        return torch.zeros_like(point.v)
    with torch.no_grad():
        anderson = Anderson(tol=TOLERANCE / 100, budget=budget, memory=10)
        u = anderson(lambda u: point.v + point.vjp(u), point.v).x.detach()
    for _ in range(2):
        refined = u + solve_linear(point.vjp, point.adjoint_gap(u), 1e-4)
        if not _adjoint_residual(point, refined) < _adjoint_residual(point, u):
            break
        u = refined
    return u


def _adjoint_residual(point: TapedPoint, u: Tensor) -> float:
    size = float(torch.linalg.vector_norm(point.v))
    gap = float(torch.linalg.vector_norm(point.adjoint_gap(u)))
    return gap / size if size > 0 else 0.0


@torch.no_grad()
def _residual(x: Tensor, y: Tensor) -> float:
    """``‖y − x‖ / ‖y‖``, the largest over the batch."""
    gap, size = ((z.flatten(1) if z.ndim > 1 else z[None]).norm(dim=1) for z in (y - x, y))
    return float(torch.where(gap > 0, gap / size, gap).max())
