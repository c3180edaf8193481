"""C15. Conjugate gradients on the adjoint equation, against the Neumann series.

With J symmetric and ``A = I − J`` positive definite of condition number κ, K steps on ``Au = v`` from 0 leave
``‖u − u_K‖_A ≤ 2((√κ−1)/(√κ+1))^K ‖u‖_A``. And since u_K is the best point of the Krylov space, which has the
K-term Neumann series in it, it is never worse than that: ``‖u − u_K‖_A ≤ ‖u − Σ_{k<K} J^k v‖_A ≤ L^K ‖u‖_A``.

Checked on spectra at Chebyshev nodes of ``[−L, L]`` or ``[0, L]``, known exactly. CG is SciPy's; the series
is the real ``neumann``, on a map with ``B = I`` so that its gradient is the adjoint itself.

Source: Hestenes & Stiefel (1952), Greenbaum, *Iterative methods for solving linear systems*, thm 3.1.1;
THEORY C15.
"""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st
from scipy.sparse.linalg import cg
from torch import Tensor

from solvers import neumann

from .. import cases
from ..cases import F64, Affine, Case, Loss, normal
from ..certificates import least, worst
from ..claim import Claim, Sides
from ..exact import Exact, estimate, exact


def spectrum(n: int, L: float, seed: int, indefinite: bool) -> Case:
    """``Wx + θ`` with W symmetric, eigenvalues at the extrema of a Chebyshev polynomial on ``[±L or 0, L]``."""
    low = -L if indefinite else 0.0
    eigenvalues = (L + low) / 2 + (L - low) / 2 * torch.cos(torch.linspace(0, torch.pi, n, dtype=F64))
    Q = torch.linalg.qr(normal(seed + 10, n, n)).Q
    identity = torch.eye(n, dtype=F64)
    T = Affine(Q @ torch.diag(eigenvalues) @ Q.T, identity, torch.zeros(n, dtype=F64), normal(seed, n))
    loss = Loss(normal(seed + 3, n), 1.0, torch.zeros(n, n, dtype=F64))
    name = f"spectrum(n={n}, L={L!r}, seed={seed}, indefinite={indefinite})"
    return Case(name, T, normal(seed + 2, n), loss, L, 0.0, 0.0)


def conjugate_gradients(A: Tensor, v: Tensor, K: int) -> Tensor:
    """K steps from 0, less where the residual is rounding already."""
    u, _ = cg(A.numpy(), v.numpy(), x0=np.zeros(len(v)), rtol=1e-15, atol=0.0, maxiter=K)
    return torch.from_numpy(u)


def _energy(A: Tensor, u: Tensor) -> float:
    return float(u @ (A @ u)) ** 0.5


def _parts(case: Case, K: int, indefinite: bool) -> tuple[Exact, Tensor, float, float]:
    """The exact quantities, A, the error of CG, and ``(√κ−1)/(√κ+1)``."""
    e = exact(case)
    A = torch.eye(len(e.x), dtype=F64) - (e.J + e.J.T) / 2
    root = ((1 + case.L if indefinite else 1.0) / (1 - case.L)) ** 0.5
    return e, A, _energy(A, e.u - conjugate_gradients(A, e.v, K)), (root - 1) / (root + 1)


def _sides(n: int, L: float, seed: int, indefinite: bool, K: int) -> Sides:
    case = spectrum(n, L, seed, indefinite)
    e, A, error, rate = _parts(case, K, indefinite)
    size = _energy(A, e.u)
    series = _energy(A, e.u - estimate(neumann(0, K), case, e.x))
    return worst(
        Sides(error, 2 * rate**K * size, size), Sides(error, series, size), Sides(series, L**K * size, size)
    )


def _too_strong(n: int, L: float, seed: int, indefinite: bool, K: int) -> Sides:
    case = spectrum(n, L, seed, indefinite)
    e, A, error, rate = _parts(case, K, indefinite)
    size = _energy(A, e.u)
    series = _energy(A, e.u - estimate(neumann(0, K + 1), case, e.x))
    return least(Sides(error, rate**K * size, size), Sides(error, series, size))


CLAIM = Claim(
    id="C15",
    statement="‖u − u_K‖_A ≤ 2((√κ−1)/(√κ+1))^K ‖u‖_A for CG on A = I − J, and never above Neumann's error ≤ L^K ‖u‖_A",
    source="Hestenes & Stiefel 1952; THEORY C15",
    assumptions="J symmetric, L < 1",
    examples=st.tuples(st.integers(2, 16), cases.factors, cases.seeds, st.booleans(), st.integers(1, 16)),
    sides=_sides,
    too_strong=_too_strong,
    twin="without the factor 2, and never above Neumann's with a term more",
)
