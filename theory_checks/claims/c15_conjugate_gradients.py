"""C15. Conjugate gradients on the adjoint equation, compared with the Neumann series.

With J symmetric and ``A = I − J`` positive definite of condition number κ, K steps on ``Au = v`` from 0 leave
``‖u − u_K‖_A ≤ ‖u‖_A / cosh(K arcosh((κ+1)/(κ−1)))``. That is attained; the usual ``2((√κ−1)/(√κ+1))^K`` is larger by
``1 + ((√κ−1)/(√κ+1))^{2K}``. The K-term Neumann series lies in the Krylov space, and u_K is the best point of that
space, so ``‖u − u_K‖_A ≤ ‖u − Σ_{k<K} J^k v‖_A ≤ L^K ‖u‖_A``. If J is not symmetric, none of
this holds, and the solve must end after a few products and report that it has not converged.

Checked on batches whose samples have spectra of different difficulty, at Chebyshev nodes of ``[−L, L]`` or
``[0, L]``, with random adjoints and, for ``n = K + 1``, the one that K steps reduce least. Both solvers are the
library's, ``CG`` and ``neumann``; an adjoint is the gradient in a constant that is added to the map.

Source: Hestenes & Stiefel (1952), Greenbaum, *Iterative methods for solving linear systems*, thm 3.1.1; PROOFS C15.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import torch
from hypothesis import strategies as st
from torch import Tensor

from solvers import CG, FixedSteps, ImplicitDifferentiation, Solution, Solver, neumann

from ..engine import Claim, Sides, conjunction, disjunction
from ..instances import F64, Case, QuadraticLoss, solve_exactly, standard_normal, synthetic
from ..instances.batches import BatchMap, solver_map, solver_state

STEPS = 8
"""Number of products within which CG must notice that J is not symmetric."""
EASIER = (1.0, 0.4, 0.9)
"""L of each sample of a batch, relative to the L of the case."""


def chebyshev_spectrum(
    n: int, L: float, seed: int, indefinite: bool, samples: int = 1, skew: float = 0.0
) -> Case:
    """``W_b x_b + θ`` with a symmetric W_b, whose eigenvalues are Chebyshev extrema on ``[0, L_b]`` or ``[−L_b, L_b]``.

    Args:
        n: unknowns of a sample.
        L: contraction factor of the hardest sample.
        seed: seed of all random numbers.
        indefinite: whether eigenvalues are negative too.
        samples: number of samples.
        skew: share of W_b that is replaced by an antisymmetric matrix of norm L.
    """
    W = torch.stack([_symmetric(n, EASIER[b] * L, seed + 20 * b, indefinite) for b in range(samples)])
    if skew:
        turn = standard_normal(seed + 7, samples, n, n)
        W = (1 - skew) * W + skew * L * (turn - turn.mT) / torch.linalg.matrix_norm(turn - turn.mT, 2)[
            :, None, None
        ]
    V = torch.eye(n, dtype=F64).expand(samples, n, n).contiguous()
    T = BatchMap(W, V, torch.zeros(samples, n, dtype=F64), standard_normal(seed, n), False)
    loss = QuadraticLoss(standard_normal(seed + 3, samples * n), 1.0, torch.zeros(n, samples * n, dtype=F64))
    name = f"spectrum(n={n}, L={L!r}, seed={seed}, indefinite={indefinite}, samples={samples}, skew={skew!r})"
    return Case(name, T, standard_normal(seed + 2, samples * n), loss, L, 0.0, 0.0, samples=samples)


def _symmetric(n: int, L: float, seed: int, indefinite: bool) -> Tensor:
    low = -L if indefinite else 0.0
    eigenvalues = (L + low) / 2 + (L - low) / 2 * torch.cos(torch.linspace(0, torch.pi, n, dtype=F64))
    Q = torch.linalg.qr(standard_normal(seed + 10, n, n)).Q
    return Q @ torch.diag(eigenvalues) @ Q.T


def hardest(case: Case) -> Case:
    """The case with the adjoint that ``n − 1`` steps of conjugate gradients reduce least, in the norm of A.

    Its coefficients along the eigenvectors of A, with eigenvalues λ_i, are ``λ_i⁻¹ ∏_{j≠i} |λ_i − λ_j|^{−½}``: the
    Chebyshev polynomial is orthogonal to all others that matter (PROOFS C15).
    """
    e = solve_exactly(case)
    n = len(e.x) // case.samples
    cotangents: list[Tensor] = []
    for b in range(case.samples):
        block = slice(b * n, (b + 1) * n)
        values, vectors = torch.linalg.eigh(torch.eye(n, dtype=F64) - e.J[block, block])
        gaps = (values[:, None] - values).abs().fill_diagonal_(1).log().sum(1)
        coefficients = (-gaps / 2).exp() / values
        cotangents.append(vectors @ (values * coefficients / coefficients.norm()))
    loss = QuadraticLoss(e.x - torch.cat(cotangents), 1.0, case.loss.M)
    return replace(case, name=f"hardest({case.name})", loss=loss)


def solved_adjoint(solver: Solver, case: Case) -> tuple[Tensor, Solution]:
    """The adjoint of shape ``(samples, n)`` that a solver computes at the equilibrium, and its solution."""
    x = solve_exactly(case).x.view(case.samples, -1)
    T, shift = solver_map(case, divisible=False), torch.zeros_like(x, requires_grad=True)
    solution = solver(lambda x: T(solver_state(case, x)).view_as(shift) + shift, x)
    case.loss(solution.x.flatten(), case.T.theta.detach()).backward()
    assert shift.grad is not None, "the backward pass left no gradient in the constant"
    return shift.grad, solution


def conjugate_gradients(case: Case, K: int) -> Tensor:
    """The adjoint after K steps of the library's CG from 0; one more product measures the residual."""
    return solved_adjoint(Solver("cg", FixedSteps(0), ImplicitDifferentiation(CG(1e-15, K + 1))), case)[0]


def _parts(
    case: Case, K: int, indefinite: bool, terms: int
) -> Iterator[tuple[float, float, float, float, float]]:
    """For every sample: the errors of CG and of the series, ``‖u‖_A``, κ, and L."""
    e = solve_exactly(case)
    n = len(e.x) // case.samples
    solved = conjugate_gradients(case, K)
    series, _ = solved_adjoint(neumann(0, terms), case)
    for b, u in enumerate(e.u.view(case.samples, -1)):
        block = slice(b * n, (b + 1) * n)
        A, L = torch.eye(n, dtype=F64) - e.J[block, block], EASIER[b] * case.L
        kappa = (1 + L if indefinite else 1.0) / (1 - L)
        yield _energy(A, u - solved[b]), _energy(A, u - series[b]), _energy(A, u), kappa, L


def chebyshev_factor(kappa: float, K: int) -> float:
    """``1/cosh(K arcosh((κ+1)/(κ−1)))``: the least that K steps reduce the worst error by, in the norm of A."""
    return 1 / math.cosh(K * math.acosh((kappa + 1) / (kappa - 1)))


def _energy(A: Tensor, u: Tensor) -> float:
    return float((u @ (A @ u)).clamp(min=0)) ** 0.5


def _case(n: int, L: float, seed: int, indefinite: bool, K: int, samples: int, worst: bool) -> Case:
    if worst:
        return hardest(chebyshev_spectrum(K + 1, L, seed, indefinite, samples))
    return chebyshev_spectrum(n, L, seed, indefinite, samples)


def _sides(n: int, L: float, seed: int, indefinite: bool, K: int, samples: int, worst: bool) -> Sides:
    case = _case(n, L, seed, indefinite, K, samples, worst)
    bounds = [_asymmetric(n, L, seed, samples)]
    for error, series, size, kappa, sample_L in _parts(case, K, indefinite, K):
        bounds += [
            Sides(error, chebyshev_factor(kappa, K) * size, size),
            Sides(error, series, size),
            Sides(series, sample_L**K * size, size),
        ]
    return conjunction(*bounds[1:], bounds[0])


def _asymmetric(n: int, L: float, seed: int, samples: int) -> Sides:
    """On a J that is not symmetric, CG stops within ``STEPS`` products, unless it converges."""
    case = chebyshev_spectrum(n + 2, L, seed, True, samples, skew=0.5)
    _, solution = solved_adjoint(Solver("cg", FixedSteps(0), ImplicitDifferentiation(CG(1e-12, 200))), case)
    return Sides(float(solution.adjoint[0].applications if not solution.converged else 0), STEPS, 0.0)


def _negative_control(
    n: int, L: float, seed: int, indefinite: bool, K: int, samples: int, worst: bool
) -> Sides:
    case = _case(n, L, seed, indefinite, K, samples, worst)
    parts = _parts(case, K, indefinite, K + 1)
    pairs = [
        (Sides(error, chebyshev_factor(kappa, K + 1) * size, size), Sides(error, series, size))
        for error, series, size, kappa, _ in parts
    ]
    return conjunction(*(disjunction(*pair) for pair in pairs))


CLAIM = Claim(
    id="C15",
    statement="‖u − u_K‖_A ≤ ‖u‖_A/cosh(K arcosh((κ+1)/(κ−1))) for CG, never above Neumann's error ≤ L^K ‖u‖_A",
    source="Hestenes & Stiefel 1952; PROOFS C15",
    assumptions="J symmetric, L < 1; elsewhere it stops",
    examples=st.tuples(
        st.integers(2, 16),
        synthetic.factors,
        synthetic.seeds,
        st.booleans(),
        st.integers(1, 16),
        st.integers(1, 3),
        st.booleans(),
    ),
    sides=_sides,
    negative_control=_negative_control,
    false_statement="the bounds of a step more, K + 1",
    attained=True,
)
