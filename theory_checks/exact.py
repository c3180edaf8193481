"""Exact quantities of a case, by dense float64 algebra: the equilibrium, its derivatives, the gradient."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from solvers import Solver

from .batches import given, shaped
from .cases import Case


@dataclass(frozen=True, slots=True)
class Exact:
    """At the equilibrium ``x*`` of a case; all float64, letters as in THEORY.

    Attributes:
        x: ``x*``, good to rounding.
        J, B: ``∂T/∂x`` ``(n, n)`` and ``∂T/∂θ`` ``(n, p)`` there.
        v: ``∂ℓ/∂x`` there, ``(n,)``.
        h: ``∂ℓ/∂θ`` there (direct dependence), ``(p,)``.
        u: ``(I − Jᵀ)⁻¹v``.
        gradient: ``h + Bᵀu``.
        distance: ``‖x0 − x*‖``.
    """

    x: Tensor
    J: Tensor
    B: Tensor
    v: Tensor
    h: Tensor
    u: Tensor
    gradient: Tensor
    distance: float


def norm(value: Tensor) -> float:
    """The 2-norm of a vector, or of a matrix as an operator."""
    return float(torch.linalg.vector_norm(value) if value.ndim < 2 else torch.linalg.matrix_norm(value, 2))


def jacobians(case: Case, x: Tensor) -> tuple[Tensor, Tensor]:
    """``∂T/∂x`` and ``∂T/∂θ`` at ``x``, dense."""

    def call(x: Tensor, theta: Tensor) -> Tensor:
        return torch.func.functional_call(case.T, {"theta": theta}, (x,))

    J, B = torch.func.jacrev(call, argnums=(0, 1))(x.detach(), case.T.theta.detach())
    return J, B


def cotangents(case: Case, x: Tensor) -> tuple[Tensor, Tensor]:
    """``∂ℓ/∂x`` and ``∂ℓ/∂θ`` at ``x``, in closed form."""
    x, theta = x.detach(), case.T.theta.detach()
    return case.loss.cotangent(x, theta), case.loss.M @ x


def _settled(case: Case) -> Tensor:
    """The equilibrium: Newton steps where they help, plain ones where a kink makes them jump about."""
    identity = torch.eye(len(case.x0), dtype=torch.float64)

    def residual(x: Tensor) -> Tensor:
        with torch.no_grad():
            return x - case.T(x)

    x = iterate(case, 60)
    for _ in range(100):
        gap = residual(x)
        if norm(gap) <= 1e-15 * (1 + norm(x)):
            break
        J, _ = jacobians(case, x)
        newton = x - torch.linalg.solve(identity - J, gap)
        if norm(residual(newton)) < norm(gap):
            x = newton
        elif norm(gap) < 1e-13 * (1 + norm(x)):
            break  # nothing but rounding is left
        else:
            with torch.no_grad():
                for _ in range(50):
                    x = case.T(x)
    if not norm(residual(x)) < 1e-12 * (1 + norm(x)):
        raise ArithmeticError(f"{case}: the equilibrium is known to {norm(residual(x)):.1e} only")
    return x


@functools.lru_cache(maxsize=256)
def exact(case: Case) -> Exact:
    """The exact quantities of a case; a Newton iteration polishes the equilibrium to rounding.

    Raises:
        TypeError: the case is not in float64.
        ArithmeticError: the equilibrium could not be found to 1e-12.
    """
    if case.x0.dtype != torch.float64 or case.T.theta.dtype != torch.float64:
        raise TypeError(f"claims are checked in float64, not {case.x0.dtype} and {case.T.theta.dtype}")
    x = _settled(case)
    identity = torch.eye(len(x), dtype=torch.float64)
    J, B = jacobians(case, x)
    v, h = cotangents(case, x)
    u = torch.linalg.solve(identity - J.T, v)
    return Exact(x, J, B, v, h, u, h + B.T @ u, norm(case.x0 - x))


def estimate(solver: Solver, case: Case, x0: Tensor | None = None) -> Tensor:
    """What autograd returns for ``theta`` when the real solver is used as a user would use it."""
    case.T.zero_grad()
    solution = solver(given(case), shaped(case, case.x0 if x0 is None else x0))
    case.loss(solution.x.flatten(), case.T.theta).backward()
    assert case.T.theta.grad is not None, "no gradient reached theta"
    return case.T.theta.grad.clone()


def powers(M: Tensor, K: int) -> Tensor:
    """``Σ_{k<K} M^k``."""
    total, term = torch.zeros_like(M), torch.eye(len(M), dtype=M.dtype)
    for _ in range(K):
        total = total + term
        term = M @ term
    return total


def iterate(case: Case, steps: int) -> Tensor:
    """``T^steps(x0)``."""
    x = case.x0
    with torch.no_grad():
        for _ in range(steps):
            x = case.T(x)
    return x
