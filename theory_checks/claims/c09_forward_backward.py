"""C9. The contraction factor of forward–backward splitting.

``T = prox_{τg} ∘ (I − τ∇f)`` with ``f = ½‖A· − y‖²``, ``αI ≤ AᵀA ≤ βI``, and g γ-strongly convex satisfies
``‖T^N a − T^N b‖ ≤ L^N ‖a − b‖`` with ``L = max(|1 − τα|, |1 − τβ|)/(1 + τγ)``, for every ``τ > 0``, also if L
≥ 1. Attained for ``g = γ/2‖· − ½‖²`` and ``a − b`` an eigenvector of AᵀA for the eigenvalue that gives the
maximum.

If the state consists of coefficients of a synthesis S, the step is ``τ/‖S‖²``, and L follows from the
eigenvalues of ``SᵀAᵀAS``. Checked for ``A = I``, with the eigenvalues of ``SᵀS`` by dense algebra.

α and β are exact: they come from Fourier transforms of kernels, and from masks. L is computed by ``bench``, as
for its tasks, and the map is applied by the real ``unrolled``.

Source: PROOFS S8(a)–(c); the prox is Bauschke and Combettes, *Convex analysis and monotone operator theory*,
23.13.
"""

from __future__ import annotations

import functools

import torch
from hypothesis import strategies as st
from torch import Tensor

from bench.operators import Operator, contraction_factor
from bench.penalties import Penalty
from bench.penalties.groups import Groups
from bench.tasks.denoising import Identity
from solvers import Map, unrolled

from ..engine import Claim, Sides, conjunction
from ..instances import standard_normal
from ..instances.variational import (
    SIDE,
    AcquiredData,
    Acquisition,
    VariationalSpec,
    acquire,
    build_variational,
    distance,
    photographs,
    variational_specs,
)


def image_pair(data: AcquiredData, mode: float | None, photograph: int) -> tuple[Tensor, Tensor]:
    """Two images: a crop, and another crop (``mode`` is ``None``) or the first moved along an eigenspace of AᵀA.

    Args:
        data: the first crop.
        mode: eigenvalue of AᵀA.
        photograph: index of the second crop.
    """
    other = photographs(data.truth.shape[1])[photograph][None]
    return data.truth, other if mode is None else data.truth + 0.1 * data.modes(other, mode)


def contracts(T: Map, N: int, a: Tensor, b: Tensor, L: float) -> Sides:
    """Both sides of ``‖T^N a − T^N b‖ ≤ L^N ‖a − b‖``."""
    solver = unrolled(N)
    return Sides(distance(solver(T, a).x, solver(T, b).x), L**N * distance(a, b), float(a.norm()))


def sides_with(
    problem: VariationalSpec, N: int, along_mode: bool, photograph: int, spectrum: tuple[float, float]
) -> Sides:
    """Both sides of C9, if the extreme eigenvalues of AᵀA were ``spectrum``."""
    built = build_variational(problem)
    data, step = built.data, problem.step
    # The pair lies along the mode with the true factor, whatever spectrum is claimed.
    extreme = max(data.alpha, data.beta, key=lambda eigenvalue: abs(1 - step * eigenvalue))
    L = contraction_factor(spectrum, step, problem.penalty.ridge)
    a, b = image_pair(data, extreme if along_mode else None, photograph)
    return contracts(built.T, N, a, b, L)


def _sides(problem: VariationalSpec, N: int, along_mode: bool, photograph: int) -> Sides:
    data = build_variational(problem).data
    plain = sides_with(problem, N, along_mode, photograph, (data.alpha, data.beta))
    return conjunction(plain, _mixed(problem, N, photograph))


def _mixed(problem: VariationalSpec, N: int, photograph: int) -> Sides:
    """Both sides on coupled coefficients with ``A = I``, along the largest singular vector of S."""
    denoised = Acquisition(Identity(), problem.acquisition.photograph, problem.acquisition.seed)
    data, ridge = acquire(denoised), problem.penalty.ridge
    operator, sizes, largest = _coupled(problem.step, ridge)
    a, b = (operator.start(x) for x in image_pair(data, None, photograph))
    b = a + 0.1 * largest.view_as(a)
    tau = problem.step / float(sizes[0]) ** 2
    L = max(abs(1 - tau * float(s) ** 2) for s in (sizes[0], sizes[-1])) / (1 + tau * ridge)
    return contracts(operator.bind(data.y, data.physics), N, a, b, L)


@functools.lru_cache(maxsize=32)
def _coupled(step: float, ridge: float) -> tuple[Operator, Tensor, Tensor]:
    """An operator with coupled coefficients, the singular values of its S, and the largest right singular vector."""
    prior = Penalty("coupled", 0.0, ridge, "haar", 1, 1e-3, groups=Groups(orientations=True), coupled=True)
    operator = prior.operator((1, SIDE, SIDE), step, torch.float64, "cpu")
    with torch.no_grad():
        coupling = dict(operator.named_parameters())["prior.coupling"]
        coupling.add_(0.3 * standard_normal(1, *coupling.shape))
    state = torch.zeros(1, 1, SIDE, SIDE, dtype=torch.float64)
    S = torch.func.jacrev(lambda x: operator.image(x.view_as(state)).flatten())(state.flatten())
    _, sizes, right = torch.linalg.svd(S.detach())
    return operator, sizes, right[0]


def _negative_control(problem: VariationalSpec, N: int, along_mode: bool, photograph: int) -> Sides:
    beta = build_variational(problem).data.beta
    return sides_with(problem, N, along_mode, photograph, (beta, beta))


CLAIM = Claim(
    id="C9",
    statement="‖T^N a − T^N b‖ ≤ [max(|1−τα|, |1−τβ|)/(1+τγ)]^N ‖a − b‖ for forward–backward",
    source="PROOFS S8",
    assumptions="αI ≤ AᵀA ≤ βI, g γ-strongly convex, prox exact (orthonormal transform)",
    examples=st.tuples(variational_specs(), st.integers(1, 5), st.booleans(), st.integers(0, 3)),
    sides=_sides,
    negative_control=_negative_control,
    false_statement="the same with |1−τβ| alone",
    attained=True,
)
