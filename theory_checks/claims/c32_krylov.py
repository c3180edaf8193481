"""C32. GMRES is optimal in its Krylov space, and the inverse that Anderson acceleration leaves behind is exact.

After k products from 0, GMRES has the least norm of ``v − (I − Jᵀ)u`` over the Krylov space
``v, Jᵀv, …, (Jᵀ)^{k−1}v``. The minimum is computed by dense least squares on an orthogonalised basis. On an
affine map the secants in the history of Anderson acceleration are exact, so ``SharedInverse`` returns ``(I − Jᵀ)⁻¹v``
once they span the space.

Source: Saad & Schultz (1986); Ramzi et al. (arXiv 2106.00553).
"""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

from solvers import GMRES, Anderson, FixedPoint, ImplicitDifferentiation, Map, SharedInverse, Solver

from ..engine import Claim, Sides, conjunction, disjunction
from ..instances import F64, Case, QuadraticLoss, solve_exactly, standard_normal, synthetic, two_norm
from ..instances.adjoint_equation import DenseAdjoint
from ..instances.batches import BatchMap
from .c15_conjugate_gradients import solved_adjoint


def nearly_singular(n: int, seed: int, spread: float) -> Tensor:
    """A matrix J for which ``I − J`` has singular values from ``spread`` to 1, and is far from normal."""
    left, right = (torch.linalg.qr(standard_normal(seed + k, n, n)).Q for k in (0, 1))
    sizes = torch.logspace(0, float(torch.tensor(spread).log10()), n, dtype=F64)
    return torch.eye(n, dtype=F64) - left @ torch.diag(sizes) @ right.T


def krylov_optimum(A: Tensor, v: Tensor, k: int) -> float:
    """The least ``‖v − A u‖`` over the k-th Krylov space. The basis is orthogonalised three times against rounding."""
    basis = [v / two_norm(v)]
    for _ in range(k - 1):
        w = A @ basis[-1]
        Q = torch.stack(basis, 1)
        for _ in range(3):
            w = w - Q @ (Q.T @ w)
        if two_norm(w) < 1e-13:
            break
        basis.append(w / two_norm(w))
    K = A @ torch.stack(basis, 1)
    return two_norm(v - K @ torch.linalg.lstsq(K, v[:, None], driver="gelsd").solution[:, 0])


def _least(n: int, seed: int, spread: float, k: int, products: int) -> Sides:
    J, v = nearly_singular(n, seed, spread), standard_normal(seed + 2, n)
    A = torch.eye(n, dtype=F64) - J.T
    T = DenseAdjoint(J.T[None].contiguous(), v[None])
    # One more product, which GMRES uses to measure its residual.
    u = GMRES(1e-14, products + 1, 40)(T, T.v).x[0]
    # GMRES returns its start if every other point has a larger residual relative to ‖T(u)‖. Then there is no claim.
    if not bool(u.any()):
        return Sides(0.0, 1.0)
    return Sides(two_norm(v - A @ u), 1.01 * krylov_optimum(A, v, k), two_norm(v))


def general_batch(n: int, L: float, seed: int, samples: int) -> Case:
    """A batch ``W_b x_b + θ`` with general matrices W_b of 2-norm L."""
    W = torch.stack(
        [synthetic.scaled_to_norm(standard_normal(seed + 10 * b, n, n), L) for b in range(samples)]
    )
    V = torch.eye(n, dtype=F64).expand(samples, n, n).contiguous()
    T = BatchMap(W, V, torch.zeros(samples, n, dtype=F64), standard_normal(seed, n), False)
    loss = QuadraticLoss(standard_normal(seed + 3, samples * n), 1.0, torch.zeros(n, samples * n, dtype=F64))
    name = f"linear(n={n}, L={L!r}, seed={seed}, samples={samples})"
    return Case(name, T, standard_normal(seed + 2, samples * n), loss, L, 0.0, 0.0, samples=samples)


def _shared_inverse(n: int, L: float, seed: int, samples: int, memory: int) -> Sides:
    """The adjoint by ``SharedInverse`` after Anderson acceleration with ``memory`` differences; exact for n of them."""
    case = general_batch(n, L, seed, samples)
    forward_solver = Anderson(1e-300, memory + 1, memory, memory + 1, shared=True)
    # From another start than the equilibrium, where all differences are 0.
    u, solution = solved_adjoint(
        Solver("", _From(forward_solver, case.x0), ImplicitDifferentiation(SharedInverse())), case
    )
    v = case.loss.cotangent(solution.x.detach().flatten(), case.T.theta.detach())
    J = solve_exactly(case).J
    expected = torch.linalg.solve(torch.eye(len(v), dtype=F64) - J.T, v).view_as(u)
    return Sides(two_norm((u - expected).flatten()), 0.0, two_norm(expected.flatten()))


class _From:
    """A forward solver that ignores the start it is given, and starts at ``x0``."""

    def __init__(self, forward_solver: Anderson, x0: Tensor) -> None:
        self.forward_solver, self.x0 = forward_solver, x0

    def __call__(self, T: Map, x0: Tensor, /) -> FixedPoint:
        return self.forward_solver(T, self.x0.view_as(x0))


def _sides(n: int, seed: int, spread: float, k: int, samples: int) -> Sides:
    return conjunction(_least(n, seed, spread, k, k), _shared_inverse(2, 0.7, seed, samples, 2))


CLAIM = Claim(
    id="C32",
    statement="k products of GMRES leave the least residual of their Krylov space; SharedInverse returns (I − Jᵀ)⁻¹v",
    source="Saad & Schultz 1986; arXiv 2106.00553",
    assumptions="I − J invertible; for SharedInverse, T affine and its history spans the space",
    examples=st.tuples(
        st.integers(2, 24),
        synthetic.seeds,
        st.sampled_from((0.5, 1e-3, 1e-6, 1e-8)),
        st.integers(1, 24),
        st.integers(1, 3),
    ),
    sides=_sides,
    negative_control=lambda n, seed, spread, k, samples: disjunction(
        _least(n, seed, spread, k + 1, k), _shared_inverse(3, 0.7, seed, samples, 2)
    ),
    false_statement="of a product more, and after fewer differences",
    rounding=1e-7,
)
