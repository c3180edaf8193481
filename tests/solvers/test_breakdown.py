"""Where a linear solve cannot go on: every one ends within its budget, and never claims what is not so."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from solvers import CG, GMRES, Anderson, FixedSteps, ImplicitDifferentiation, SharedInverse, Solver, implicit

# Not public: breakdowns of GMRES begin in its orthogonalisation, which no public result shows.
from solvers._adjoint.arnoldi import NOISE, orthogonalise
from solvers.conformance import start
from tests.helpers.adjoints import SOLVES, Each, Linear, residuals
from tests.helpers.known_maps import matrix
from tests.helpers.tensors import F64

F32 = torch.float32
DTYPES = [F32, F64]


def shift(n: int) -> torch.Tensor:
    return torch.diag(torch.ones(n - 1, dtype=F64), 1)


def projector(n: int) -> torch.Tensor:
    v = start(n).abs()
    return torch.outer(v, v) / v.square().sum()


STRUCTURES = {
    "0": torch.zeros(5, 5, dtype=F64),
    "I": torch.eye(5, dtype=F64),
    "2 I": 2 * torch.eye(5, dtype=F64),
    "−I": -torch.eye(5, dtype=F64),
    "I/2": torch.eye(5, dtype=F64) / 2,
    "nilpotent": shift(5),
    "cyclic": shift(5) + torch.outer(torch.eye(5, dtype=F64)[4], torch.eye(5, dtype=F64)[0]),
    "rank 1": 0.9 * projector(5),
    "I − J singular": projector(5),
    "I − J nearly singular": (1 - 1e-9) * projector(5),
    "I − J = −cyclic": torch.eye(5, dtype=F64) + 0.5 * shift(5),
    "two eigenvalues": torch.diag(torch.tensor([0.3, 0.9, 0.3, 0.9, 0.3], dtype=F64)),
    "one entry": torch.full((1, 1), 0.7, dtype=F64),
    "one entry, 1": torch.ones(1, 1, dtype=F64),
    "expansive": matrix(5, 3.0, 1),
    "huge": 1e30 * matrix(5, 1.0, 1),
}
SOLVABLE = {"0", "−I", "I/2", "nilpotent", "rank 1", "two eigenvalues", "one entry"}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("name", SOLVES)
@pytest.mark.parametrize("tol", [1e-4, 1e-30])
def test_every_solve_ends_and_claims_nothing_false(name, structure, dtype, tol):
    M = STRUCTURES[structure].to(dtype)
    v = torch.stack([start(len(M)) + 0.1, torch.zeros(len(M), dtype=F64), start(len(M)).square()]).to(dtype)
    for budget in (1, 2, 40):
        T = Linear(M, v)
        at = SOLVES[name](tol, budget)(T, T.v)
        assert at.report.applications == T.products <= budget
        assert at.x.dtype == dtype
        true = float(residuals(T, at.x).max())
        assert at.report.residual == pytest.approx(true, rel=1e-12, nan_ok=True)
        assert at.report.converged is (true <= tol)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("structure", sorted(SOLVABLE))
def test_gmres_solves_what_has_a_solution_in_as_many_products_as_the_space_has_dimensions(structure, dtype):
    M = STRUCTURES[structure].to(dtype)
    T = Linear(M, (start(3, len(M)) + 0.1).to(dtype))
    tol = 100 * torch.finfo(dtype).eps
    report = GMRES(tol)(T, T.v).report
    assert report.converged
    assert T.products <= 2 * (len(M) + 1)


@pytest.mark.misuse(
    "GMRES asked for more than float32 holds",
    "right: it ends at what rounding allows, and says that the tolerance is not met",
)
@given(seed=st.integers(0, 200), n=st.integers(1, 8), samples=st.integers(1, 4), memory=st.integers(1, 8))
def test_gmres_ends_in_float32_once_its_space_is_exhausted(seed, n, samples, memory):
    M = matrix(n, 0.9, seed)
    T = Linear(M.float(), torch.randn(samples, n, generator=torch.Generator().manual_seed(seed)))
    at = GMRES(1e-9, 200, memory)(T, T.v)
    exact = torch.linalg.solve(torch.eye(n, dtype=F64) - M, T.v.double().T).T
    assert T.products <= 200
    if memory >= n:
        # Two refinements, and one that shows that there is no more to be had.
        assert T.products <= 5 * (n + 1)
        assert float((at.x - exact).norm()) <= 1e-4 * float(exact.norm())
    assert at.report.residual == float(residuals(T, at.x).max())


@pytest.mark.parametrize("name", ["gmres", "cg"])
@pytest.mark.parametrize("dtype", DTYPES)
@given(
    seed=st.integers(0, 1000),
    n=st.integers(1, 12),
    samples=st.integers(1, 3),
    size=st.sampled_from([0.0, 0.3, 0.7, 0.9, 0.99, 1.0, 1.2]),
    symmetric=st.booleans(),
    exponent=st.integers(-60, 60),
    far=st.sampled_from([None, 0, 1, 1e6, 1e20]),
    budget=st.integers(1, 40),
    tol=st.sampled_from([1e-1, 1e-3, 1e-6, 1e-10]),
)
def test_a_reported_residual_is_that_of_the_point(
    name, dtype, seed, n, samples, size, symmetric, exponent, far, budget, tol
):
    """From the cotangent and from starts of one's own, after restarts, in batches, in both dtypes."""
    rng = torch.Generator().manual_seed(seed)
    v = 2.0**exponent * torch.randn(samples, n, generator=rng, dtype=F64).to(dtype)
    T = Linear(matrix(n, size, seed, symmetric).to(dtype), v)
    u0 = v if far is None else far * torch.randn(samples, n, generator=rng, dtype=F64).to(dtype)
    solve = CG(tol, budget) if name == "cg" else GMRES(tol, budget, 1 + seed % 5)
    at = solve(T, u0)
    assert at.report.applications == T.products <= budget
    true = float(residuals(T, at.x).max())
    assert at.report.residual == pytest.approx(true, rel=1e-12)
    assert at.report.converged is (true <= tol)


def test_gmres_comes_back_from_a_start_far_away():
    M = matrix(20, 0.9, 3)
    T = Linear(M, start(2, 20))
    at = GMRES(1e-8)(T, 1e12 * torch.ones(2, 20, dtype=F64))
    assert at.report.converged
    torch.testing.assert_close(T(at.x), at.x, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gmres_orthogonalises_again(dtype):
    """Of a vector nearly in the span, what Gram–Schmidt leaves when made once is not orthogonal to it."""
    eps = torch.finfo(dtype).eps
    Q = torch.zeros(2, 4, 30, dtype=dtype)
    Q[:, :3] = torch.linalg.qr(torch.randn(2, 30, 3, dtype=F64)).Q.mT.to(dtype)
    w = Q[:, :3].sum(1) + 1e3 * eps * torch.randn(2, 30, dtype=F64).to(dtype)
    column = orthogonalise(Q, w, 2, NOISE * eps)
    assert bool((column[:, 3] > 0).all())
    assert float(torch.bmm(Q[:, :3], Q[:, 3:].mT).abs().max()) < 10 * eps
    # What is left of a vector in the span is rounding, and the space is exhausted.
    column = orthogonalise(Q, Q[:, :3].sum(1), 2, NOISE * eps)
    assert bool((column[:, 3] == 0).all())
    assert bool((Q[:, 3] == 0).all())


@pytest.mark.parametrize("seed", range(6))
def test_a_sample_that_has_converged_does_not_stop_conjugate_gradients(seed):
    def symmetric(values):
        rotation = torch.linalg.qr(torch.randn(40, 40, generator=rng, dtype=F64)).Q
        return rotation @ torch.diag(values) @ rotation.T

    rng = torch.Generator().manual_seed(seed)
    easy, hard = torch.tensor([0.3, 0.6], dtype=F64).repeat(20), torch.linspace(0, 0.99, 40, dtype=F64)
    J, v = torch.stack([symmetric(easy), symmetric(hard)]), torch.randn(2, 40, generator=rng, dtype=F64)
    together = CG(1e-6)(T := Each(J, v), v)
    assert together.report.converged
    assert float(residuals(T, together.x).max()) <= 1e-6
    for i in (0, 1):
        alone = CG(1e-6)(T := Each(J[i : i + 1], v[i : i + 1]), T.v)
        torch.testing.assert_close(together.x[i : i + 1], alone.x, rtol=1e-12, atol=1e-12)


@pytest.mark.misuse(
    "CG where the J of one sample is not symmetric",
    "right: that sample stops and is reported, the others are solved",
)
@pytest.mark.parametrize("other", ["skew", "indefinite", "singular"])
def test_only_the_sample_that_is_not_symmetric_stops_conjugate_gradients(other):
    bad = {
        "skew": matrix(8, 0.9, 3),
        "indefinite": torch.diag(torch.linspace(0, 5, 8, dtype=F64)),
        "singular": torch.eye(8, dtype=F64),
    }[other]
    J = torch.stack([matrix(8, 0.9, 1, symmetric=True), bad, matrix(8, 0.95, 2, symmetric=True)])
    T = Each(J, start(3, 8) + 0.1)
    at = CG(1e-9)(T, T.v)
    found = residuals(T, at.x)
    assert not at.report.converged
    assert at.report.residual == pytest.approx(float(found[1]), rel=1e-12)
    assert float(found[[0, 2]].max()) <= 1e-9
    assert T.products < 40


@pytest.mark.parametrize("name", SOLVES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_float32_that_gets_no_further_ends(name, dtype):
    M = matrix(30, 0.8, 2, symmetric=True).to(dtype)
    T = Linear(M, start(2, 30).to(dtype))
    at = SOLVES[name](1e-40, 300)(T, T.v)
    assert T.products <= 300
    # A fixed point of the rounded map is one, where a solver meets it.
    assert at.report.converged is (at.report.residual == 0)
    assert at.report.residual == float(residuals(T, at.x).max()) < 2000 * torch.finfo(dtype).eps


class Mixed(Linear):
    """Samples that interact, as batch statistics make them: the mean over the batch goes into each."""

    def linear(self, u):
        return super().linear(0.3 * u + 0.7 * u.mean(0, keepdim=True))


@pytest.mark.misuse(
    "samples that interact, as batch statistics in training mode make them",
    "right: the residual is measured of the whole batch, and `converged` is true only where it is met",
)
@pytest.mark.parametrize("name", SOLVES)
@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=st.integers(0, 300), samples=st.integers(2, 5), tol=st.sampled_from([1e-2, 1e-5]))
def test_no_residual_is_false_where_samples_interact(name, dtype, seed, samples, tol):
    rng = torch.Generator().manual_seed(seed)
    # Of very different sizes, so that samples are done at different times.
    v = torch.randn(samples, 6, generator=rng, dtype=F64) * 10.0 ** torch.arange(-samples, 0)[:, None]
    T = Mixed(matrix(6, 0.9, seed, symmetric=True).to(dtype), v.to(dtype))
    at = SOLVES[name](tol, 60)(T, T.v)
    assert T.products <= 60
    if at.report.converged:
        assert float(residuals(T, at.x).max()) <= tol * (1 + 1e-12)


def test_samples_that_interact_are_solved_by_the_reaches():
    for name in ("picard", "anderson", "nesterov"):
        v = start(3, 6) * torch.tensor([[1.0], [1e-3], [1e-6]], dtype=F64)
        T = Mixed(matrix(6, 0.9, 1), v)
        at = SOLVES[name](1e-8, 500)(T, T.v)
        assert at.report.converged
        assert at.report.residual == float(residuals(T, at.x).max())


@pytest.mark.misuse("a batch of no samples", "right: an empty solution, and gradients of zero")
@pytest.mark.parametrize("shape", [(0, 6), (0, 2, 3), (3, 0), (0,), (2, 0, 3)])
@pytest.mark.parametrize("name", SOLVES)
@pytest.mark.parametrize("dtype", [F32, F64, torch.cdouble])
def test_an_empty_batch_has_an_empty_solution_and_no_gradient(shape, name, dtype):
    weight = torch.tensor(0.5, dtype=dtype, requires_grad=True)
    reach = FixedSteps(3) if name in ("gmres", "cg") else SOLVES[name](1e-3)
    solver = Solver(name, reach, ImplicitDifferentiation(SOLVES[name](1e-3)))
    for chosen in (
        solver,
        Solver("shared", Anderson(1e-3, shared=True), ImplicitDifferentiation(SharedInverse(2))),
    ):
        weight.grad = None
        solution = chosen(lambda x: weight * torch.tanh(x) + weight, torch.zeros(shape, dtype=dtype))
        assert solution.x.shape == shape
        assert solution.converged
        solution.x.abs().square().sum().backward()
        assert weight.grad is not None
        assert complex(weight.grad) == 0


def test_a_sample_without_entries_beside_none_is_no_division_by_zero():
    report = GMRES(1e-3)(T := Linear(torch.zeros(0, 0, dtype=F64), torch.zeros(2, 0, dtype=F64)), T.v).report
    assert (report.residual, report.converged) == (0.0, True)
    assert not math.isnan(
        implicit(FixedSteps(2), GMRES(1e-3))(lambda x: x, torch.zeros(2, 0)).x.detach().sum()
    )
