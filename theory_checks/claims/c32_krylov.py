"""C32. GMRES makes the most of its products, and the inverse that a reach leaves behind is the inverse.

After k products from 0 the residual of GMRES is the least that ``v − (I − Jᵀ)u`` has over the Krylov space
``v, Jᵀv, …, (Jᵀ)^{k−1}v``, here by dense least squares on a basis that is kept orthogonal.
And on an affine map the secants of Anderson's history are exact, so that
where they span the space ``Shared`` returns ``(I − Jᵀ)⁻¹v``.

Source: Saad & Schultz (1986); Ramzi et al. (arXiv 2106.00553).
"""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

from solvers import GMRES, Anderson, Equilibrium, Implicit, Map, Shared, Solver

from ..engine.claim import Claim
from ..engine.inequality import Sides, conjunction, disjunction
from ..instances import synthetic
from ..instances.adjoint_equation import DenseAdjoint
from ..instances.batches import BatchMap
from ..instances.exact import solve_exactly, two_norm
from ..instances.synthetic import F64, Case, QuadraticLoss, standard_normal
from .c15_conjugate_gradients import solved_adjoint


def nearly_singular(n: int, seed: int, spread: float) -> Tensor:
    """J whose ``I − J`` has singular values from ``spread`` to 1: nearly singular, and far from normal."""
    left, right = (torch.linalg.qr(standard_normal(seed + k, n, n)).Q for k in (0, 1))
    sizes = torch.logspace(0, float(torch.tensor(spread).log10()), n, dtype=F64)
    return torch.eye(n, dtype=F64) - left @ torch.diag(sizes) @ right.T


def krylov_optimum(A: Tensor, v: Tensor, k: int) -> float:
    """The least ``‖v − A u‖`` over the k-th Krylov space: by a basis made orthogonal again and again."""
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
    # One product more, for the one that measures.
    u = GMRES(1e-14, products + 1, 40)(T, T.v).x[0]
    if not bool(u.any()):  # kept, where another point is worse relative to what T makes of it
        return Sides(0.0, 1.0)
    return Sides(two_norm(v - A @ u), 1.01 * krylov_optimum(A, v, k), two_norm(v))


def general_batch(n: int, L: float, seed: int, samples: int) -> Case:
    """``W_b x_b + θ`` with general W."""
    W = torch.stack(
        [synthetic.scaled_to_norm(standard_normal(seed + 10 * b, n, n), L) for b in range(samples)]
    )
    V = torch.eye(n, dtype=F64).expand(samples, n, n).contiguous()
    T = BatchMap(W, V, torch.zeros(samples, n, dtype=F64), standard_normal(seed, n), False)
    loss = QuadraticLoss(standard_normal(seed + 3, samples * n), 1.0, torch.zeros(n, samples * n, dtype=F64))
    name = f"linear(n={n}, L={L!r}, seed={seed}, samples={samples})"
    return Case(name, T, standard_normal(seed + 2, samples * n), loss, L, 0.0, 0.0, samples=samples)


def _learned(n: int, L: float, seed: int, samples: int, memory: int) -> Sides:
    """The adjoint by what Anderson has learned in ``memory`` differences: all of it where that is n."""
    case = general_batch(n, L, seed, samples)
    reach = Anderson(1e-300, memory + 1, memory, memory + 1, shared=True)
    # Not from the equilibrium: there are no differences there.
    u, solution = solved_adjoint(Solver("", _From(reach, case.x0), Implicit(Shared())), case)
    v = case.loss.cotangent(solution.x.detach().flatten(), case.T.theta.detach())
    J = solve_exactly(case).J
    wanted = torch.linalg.solve(torch.eye(len(v), dtype=F64) - J.T, v).view_as(u)
    return Sides(two_norm((u - wanted).flatten()), 0.0, two_norm(wanted.flatten()))


class _From:
    """A reach from elsewhere."""

    def __init__(self, reach: Anderson, x0: Tensor) -> None:
        self.reach, self.x0 = reach, x0

    def __call__(self, T: Map, x0: Tensor, /) -> Equilibrium:
        return self.reach(T, self.x0.view_as(x0))


def _sides(n: int, seed: int, spread: float, k: int, samples: int) -> Sides:
    return conjunction(_least(n, seed, spread, k, k), _learned(2, 0.7, seed, samples, 2))


CLAIM = Claim(
    id="C32",
    statement="k products of GMRES leave the least residual of their Krylov space; Shared is exact once it has seen it",
    source="Saad & Schultz 1986; arXiv 2106.00553",
    assumptions="I − J invertible; for Shared, T affine and its history spans the space",
    examples=st.tuples(
        st.integers(2, 24),
        synthetic.seeds,
        st.sampled_from((0.5, 1e-3, 1e-6, 1e-8)),
        st.integers(1, 24),
        st.integers(1, 3),
    ),
    sides=_sides,
    negative_control=lambda n, seed, spread, k, samples: disjunction(
        _least(n, seed, spread, k + 1, k), _learned(3, 0.7, seed, samples, 2)
    ),
    false_statement="of a product more, and after fewer differences",
    rounding=1e-7,
)
