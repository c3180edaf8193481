"""The equilibrium, the derivatives and the gradient of a case, by dense float64 algebra."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from solvers import Solver

from .batches import solver_map, solver_state
from .synthetic import Case


@dataclass(frozen=True, slots=True)
class ExactSolution:
    """Quantities at the equilibrium of a case, in float64, with the letters of THEORY.

    Attributes:
        x: the equilibrium ``x*``, of shape ``(n,)``, exact to rounding.
        J: ``∂T/∂x`` at x*, of shape ``(n, n)``.
        B: ``∂T/∂θ`` at x*, of shape ``(n, p)``.
        v: ``∂ℓ/∂x`` at x*, of shape ``(n,)``.
        h: ``∂ℓ/∂θ`` at x*, of shape ``(p,)``: the direct dependence of the loss on θ.
        u: the adjoint ``(I − Jᵀ)⁻¹v``, of shape ``(n,)``.
        gradient: ``h + Bᵀu``, of shape ``(p,)``.
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


def two_norm(value: Tensor) -> float:
    """The 2-norm of a vector, or the largest singular value of a matrix."""
    return float(torch.linalg.vector_norm(value) if value.ndim < 2 else torch.linalg.matrix_norm(value, 2))


def jacobians(case: Case, x: Tensor) -> tuple[Tensor, Tensor]:
    """The dense Jacobians ``∂T/∂x`` and ``∂T/∂θ`` at ``x``, of shapes ``(n, n)`` and ``(n, p)``."""

    def call(x: Tensor, theta: Tensor) -> Tensor:
        return torch.func.functional_call(case.T, {"theta": theta}, (x,))

    J, B = torch.func.jacrev(call, argnums=(0, 1))(x.detach(), case.T.theta.detach())
    return J, B


def cotangents(case: Case, x: Tensor) -> tuple[Tensor, Tensor]:
    """The derivatives ``∂ℓ/∂x`` and ``∂ℓ/∂θ`` at ``x``, in closed form."""
    x, theta = x.detach(), case.T.theta.detach()
    return case.loss.cotangent(x, theta), case.loss.M @ x


def _find_equilibrium(case: Case) -> Tensor:
    """Find the equilibrium by Newton steps. Near a kink they may jump back and forth: plain steps take their place."""
    identity = torch.eye(len(case.x0), dtype=torch.float64)

    def residual(x: Tensor) -> Tensor:
        with torch.no_grad():
            return x - case.T(x)

    x = iterate(case, 60)
    for _ in range(100):
        gap = residual(x)
        if two_norm(gap) <= 1e-15 * (1 + two_norm(x)):
            break
        J, _ = jacobians(case, x)
        newton = x - torch.linalg.solve(identity - J, gap)
        if two_norm(residual(newton)) < two_norm(gap):
            x = newton
        elif two_norm(gap) < 1e-13 * (1 + two_norm(x)):
            break  # the rest of the residual is rounding
        else:
            with torch.no_grad():
                for _ in range(50):
                    x = case.T(x)
    if not two_norm(residual(x)) < 1e-12 * (1 + two_norm(x)):
        raise ArithmeticError(f"{case}: the residual of the equilibrium is still {two_norm(residual(x)):.1e}")
    return x


@functools.lru_cache(maxsize=256)
def solve_exactly(case: Case) -> ExactSolution:
    """Solve a case to rounding; results are cached.

    Raises:
        TypeError: the case is not in float64.
        ArithmeticError: no equilibrium was found with a relative residual below 1e-12.
    """
    if case.x0.dtype != torch.float64 or case.T.theta.dtype != torch.float64:
        raise TypeError(f"claims are checked in float64, not {case.x0.dtype} and {case.T.theta.dtype}")
    x = _find_equilibrium(case)
    identity = torch.eye(len(x), dtype=torch.float64)
    J, B = jacobians(case, x)
    v, h = cotangents(case, x)
    u = torch.linalg.solve(identity - J.T, v)
    return ExactSolution(x, J, B, v, h, u, h + B.T @ u, two_norm(case.x0 - x))


def solver_gradient(solver: Solver, case: Case, x0: Tensor | None = None) -> Tensor:
    """The gradient in ``theta`` that the real solver produces in an ordinary backward pass, of shape ``(p,)``.

    Args:
        solver: any solver.
        case: any case.
        x0: flat start; by default that of the case.
    """
    solution = solver(solver_map(case), solver_state(case, case.x0 if x0 is None else x0))
    return theta_gradient(case, case.loss(solution.x.flatten(), case.T.theta))


def theta_gradient(case: Case, value: Tensor) -> Tensor:
    """The gradient of a loss in ``theta`` by an ordinary backward pass, of shape ``(p,)``."""
    case.T.zero_grad()
    value.backward()
    assert case.T.theta.grad is not None, "the backward pass left no gradient in theta"
    return case.T.theta.grad.clone()


def power_sum(M: Tensor, K: int) -> Tensor:
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
