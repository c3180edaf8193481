"""Complex states: pairs of real numbers, whose derivatives are linear over the reals alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from solvers import (
    CG,
    GMRES,
    Anderson,
    FixedSteps,
    ImplicitDifferentiation,
    Nesterov,
    Picard,
    QuasiNewton,
    SharedInverse,
    Solver,
    certified,
    checkpointed,
    deq,
    implicit,
    neumann,
    phantom,
    restarted_jfb,
    unrolled,
)

# Not public: the monitor estimates constants with it.
from solvers._certificates.jacobian_norm import largest_singular_value
from solvers.conformance import relative_error
from tests.helpers.known_maps import matrix
from tests.helpers.tensors import F64

SOLVERS = [
    unrolled(250),
    checkpointed(250, 10),
    restarted_jfb(40, 10),
    neumann(200, 200),
    phantom(300, 300),
    deq(1e-12),
    implicit(Picard(1e-12), Picard(1e-12)),
    implicit(Picard(1e-12), CG(1e-12)),
    implicit(Nesterov(1e-12), Nesterov(1e-12)),
    implicit(Anderson(1e-12), GMRES(1e-12)),
    implicit(Anderson(1e-12), GMRES(1e-12, memory=3)),
    implicit(Anderson(1e-12, shared=True), SharedInverse(120)),
]


class Conjugates(nn.Module):
    """``x -> s·tanh(Re) + i·…`` of ``P x``, with P real-linear: x and its conjugate go in apart, by complex matrices.

    Nothing in it is linear over the complex numbers, and its J, over the reals, is symmetric.
    """

    def __init__(self, n: int = 4, dtype: torch.dtype = torch.cdouble) -> None:
        super().__init__()
        self.M = matrix(2 * n, 0.85, 5, symmetric=True).to(torch.empty(0, dtype=dtype).real.dtype)
        self.n = n
        self.c = nn.Parameter(torch.linspace(-1, 1, n).to(dtype) * (1 - 0.5j))
        self.s = nn.Parameter(torch.tensor(0.9, dtype=self.M.dtype))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One application; the last dimension of ``x`` has n entries."""
        z = x.reshape(-1, self.n)
        pairs = torch.cat((z.real, z.conj().imag), 1) @ self.M
        bent = torch.tanh(pairs + torch.cat((self.c.real, self.c.imag)))
        out = self.s * (bent @ self.M)
        return torch.complex(out[:, : self.n], -out[:, self.n :]).view_as(x)


class Pairs(nn.Module):
    """The same, of the pairs of real numbers."""

    def __init__(self, of: Conjugates) -> None:
        super().__init__()
        self.of = of

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One application; the last dimension of ``x`` is the pair."""
        return torch.view_as_real(self.of(torch.view_as_complex(x.contiguous())))


def loss(x: torch.Tensor) -> torch.Tensor:
    target = torch.linspace(-1, 2, x.numel(), dtype=F64).view(x.shape).to(x.real.dtype)
    return (x.real - target).square().sum() + 3 * (x.imag + target).square().sum() + (x * x).real.sum()


def slope(solver: Solver, T: nn.Module, x0: torch.Tensor, value=loss):
    """Of the loss, in the parameters that have one, as real numbers; and the solution."""
    T.zero_grad()
    solution = solver(T, x0, value)
    value(solution.x).backward()
    grads = [p.grad for p in T.parameters() if p.grad is not None]
    return torch.cat(
        [torch.view_as_real(g).flatten() if g.is_complex() else g[None] for g in grads]
    ), solution


@pytest.mark.misuse(
    "complex states, with a conjugate in the map", "right: the derivative over the real numbers"
)
@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: s.label)
def test_the_gradient_of_a_complex_map_is_that_of_its_pairs(solver):
    T = Conjugates()
    # Of pairs of reals, by 250 recorded applications: no solve of this library is in it.
    pairs = Pairs(Conjugates())
    exact, _ = slope(
        unrolled(250), pairs, torch.zeros(3, 4, 2, dtype=F64), lambda x: loss(torch.view_as_complex(x))
    )
    found, solution = slope(solver, T, torch.zeros(3, 4, dtype=torch.cdouble))
    assert relative_error(found, exact) < 1e-7
    assert solution.converged
    assert solution.x.dtype == torch.cdouble


@pytest.mark.parametrize(
    "solver",
    [
        implicit(Anderson(1e-5), GMRES(1e-5)),
        implicit(Picard(1e-5), CG(1e-5)),
        implicit(Nesterov(1e-5), Nesterov(1e-5)),
        implicit(Anderson(1e-5, shared=True), SharedInverse(60)),
        deq(1e-5),
    ],
    ids=lambda s: s.label,
)
def test_complex_states_in_single_precision(solver):
    exact, _ = slope(unrolled(250), Conjugates(), torch.zeros(2, 4, dtype=torch.cdouble))
    found, solution = slope(solver, Conjugates(dtype=torch.cfloat), torch.zeros(2, 4, dtype=torch.cfloat))
    assert solution.x.dtype == torch.cfloat
    assert solution.converged
    assert relative_error(found.double(), exact) < 1e-3


@pytest.mark.parametrize("shape", [(8,), (2, 1, 2, 4)])
def test_complex_states_of_any_shape(shape):
    T, x0 = Conjugates(), torch.zeros(shape, dtype=torch.cdouble)
    exact, _ = slope(unrolled(250), T, x0)
    for solver in SOLVERS[5:]:
        assert relative_error(slope(solver, T, x0)[0], exact) < 1e-7


def test_certified_is_right_for_complex_states():
    x0 = torch.zeros(3, 4, dtype=torch.cdouble)
    T = Conjugates()
    T.c.requires_grad_(False)
    assert relative_error(slope(certified(1e-8), T, x0)[0], slope(unrolled(250), T, x0)[0]) < 1e-7


def test_a_complex_solve_is_that_of_its_pairs_to_the_bit():
    """The same residuals, reports and points, of a complex map and of the real one that it is."""
    T = Conjugates()
    pairs, x0 = Pairs(T), torch.zeros(3, 4, dtype=torch.cdouble)
    for solver in (deq(1e-6), implicit(Nesterov(1e-6), Picard(1e-6)), implicit(Anderson(1e-6), GMRES(1e-6))):
        found, one = slope(solver, T, x0)
        expected, other = slope(
            solver, pairs, torch.view_as_real(x0), lambda x: loss(torch.view_as_complex(x))
        )
        assert one.forward == other.forward
        assert one.adjoint == other.adjoint
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_a_singular_value_of_a_complex_jacobian():
    T = Conjugates()
    x = torch.randn(1, 4, dtype=torch.cdouble)
    J = torch.autograd.functional.jacobian(Pairs(T), torch.view_as_real(x)).reshape(8, 8)
    value, residual = largest_singular_value(T, x)
    assert value == pytest.approx(float(torch.linalg.matrix_norm(J, 2)), rel=1e-8)
    assert residual < 1e-4


def test_a_measured_residual_of_complex_states_is_their_own():
    T = Conjugates()
    for reach in (Picard(1e-9), Anderson(1e-9), Nesterov(1e-9), QuasiNewton(1e-9)):
        solution = Solver("s", reach, ImplicitDifferentiation(FixedSteps(1)))(
            T, torch.zeros(2, 4, dtype=torch.cdouble)
        )
        with torch.no_grad():
            at = reach(T, torch.zeros(2, 4, dtype=torch.cdouble))
            y = T(at.x)
        sizes = (y - at.x).norm(dim=1) / y.norm(dim=1)
        assert solution.forward.residual == pytest.approx(float(sizes.max()), rel=1e-12)
