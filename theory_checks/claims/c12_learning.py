"""C12. Gradient descent with errors of the gradient: θ⁺ = θ − ηĝ compared with θ⁺ = θ − ηF'.

With ``e_t = ‖ĝ_t − F'(θ_t)‖ ≤ ε``, F G-smooth, ``η ≤ 1/G``, and T steps from the same θ₀:

- distance of the trajectories: ``d_T ≤ η Σ_t ϱ^(T−1−t) e_t``, with ``ϱ = max(|1−ηm|, |1−ηG|)`` for F m-strongly
  convex, and ``ϱ = 1`` for F convex; one step gives ``d_1 = ηe_0``;
- each step: ``F(θ_{t+1}) ≤ F(θ_t) − η/2 ‖F'(θ_t)‖² + η/2 e_t²``;
- stationarity: ``η Σ_{t<T−1} ‖F'(θ_t)‖² + ‖F'(θ_{T−1})‖²/G ≤ 2(F(θ₀) − inf F) + η Σ_{t<T−1} e_t²``, which implies
  ``mean_t ‖F'(θ_t)‖² ≤ 2(F(θ₀) − inf F)/(ηT) + mean_t e_t²``, and the same for the smallest and ε;
- PL rate with constant m: ``F(θ_T) − F* ≤ ρ(F(θ₀) − F*) + (1 − ρ) ε²/(2m)`` with ``ρ = (1−ηm)^T``.

Checked for an affine T and a quadratic loss, where G and m are exact: ``x*(θ) = Aθ + d`` with ``A = (I−W)⁻¹V``,
so F is the quadratic ``q/2 ‖Aθ + d − t‖²`` with the Hessian ``qAᵀA``. The gradients with errors are those of
real, truncated estimators. Distance and step are attained with ``J = L·I`` and ``η = 1/G``, the PL rate with a
single parameter, at ``F(θ₀) − F* = ε²/(2m)``. Over all smooth F the four are attained (``worst_cases``).

Source: PROOFS S9.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from hypothesis import strategies as st
from torch import Tensor

from solvers import Solver, neumann, restarted_jfb

from ..engine import Claim, Sides, conjunction, disjunction
from ..instances import AffineMap, Case, solver_gradient, synthetic, two_norm


@dataclass(frozen=True, slots=True)
class QuadraticObjective:
    """``F(θ) = q/2 ‖Aθ − s‖²``, the bilevel objective of an affine map, with its constants.

    Attributes:
        q, A, s: curvature of the loss, Jacobian of the equilibrium, and ``s = t − d``.
        optimum: a minimiser.
        G: largest eigenvalue of the Hessian, the smoothness constant.
        m: smallest positive eigenvalue of the Hessian, the PL constant.
        convexity: constant of strong convexity; 0 if there are more parameters than unknowns.
    """

    q: float
    A: Tensor
    s: Tensor
    optimum: Tensor
    G: float
    m: float
    convexity: float

    def __call__(self, theta: Tensor) -> float:
        """The value F(θ)."""
        return self.q / 2 * float((self.A @ theta - self.s).square().sum())

    def gradient(self, theta: Tensor) -> Tensor:
        """The gradient F'(θ)."""
        return self.q * self.A.T @ (self.A @ theta - self.s)

    def size(self, theta: Tensor) -> float:
        """Size of the terms of the value, to which its rounding is relative."""
        return self.q / 2 * (two_norm(self.A) * two_norm(theta) + two_norm(self.s)) ** 2


@dataclass(frozen=True, slots=True)
class InexactDescent:
    """Gradient descent with errors.

    Attributes:
        points: the T + 1 points of T steps.
        errors: the T errors ``e_t``.
        exact: the last point of the descent without errors.
    """

    points: list[Tensor]
    errors: list[float]
    exact: Tensor


def bilevel_objective(T: AffineMap, case: Case) -> QuadraticObjective:
    """The bilevel objective of a case with the affine map ``T`` and the loss ``q/2 ‖x − t‖²``."""
    n, p = T.V.shape
    A, d = torch.linalg.solve(torch.eye(n, dtype=T.W.dtype) - T.W, torch.column_stack((T.V, T.c))).split(
        (p, 1), 1
    )
    s = case.loss.target - d[:, 0]
    sizes = case.loss.q * torch.linalg.svdvals(A).square()
    smallest = float(sizes[-1])
    optimum = torch.linalg.pinv(A) @ s
    return QuadraticObjective(
        case.loss.q, A, s, optimum, float(sizes[0]), smallest, smallest if p <= n else 0.0
    )


def inexact_descent(
    case: Case, T: AffineMap, F: QuadraticObjective, solver: Solver, start: Tensor, eta: float, steps: int
) -> InexactDescent:
    """Descend with the gradients of ``solver``, and with the exact ones."""
    points, errors, exact = [start], [], start
    for _ in range(steps):
        theta = points[-1]
        estimated = solver_gradient(solver, replace(case, T=AffineMap(T.W, T.V, T.c, theta.clone())))
        points.append(theta - eta * estimated)
        errors.append(two_norm(estimated - F.gradient(theta)))
        exact = exact - eta * F.gradient(exact)
    return InexactDescent(points, errors, exact)


def learning_inequalities(
    case: Case, solver: Solver, fraction: float, steps: int, at_optimum: bool, weaker: bool = True
) -> tuple[Sides, ...]:
    """Both sides of the four inequalities: distance, step, stationarity and PL rate.

    ``weaker=False`` gives the negative controls: ``ϱ^(T−t)`` for the distance, and no errors in the others.
    """
    assert isinstance(case.T, AffineMap)
    F = bilevel_objective(case.T, case)
    start, eta = F.optimum if at_optimum else case.T.theta.detach(), fraction / F.G
    run = inexact_descent(case, case.T, F, solver, start, eta, steps)
    slopes = [two_norm(F.gradient(theta)) ** 2 for theta in run.points[:-1]]
    squares = [error**2 if weaker else 0.0 for error in run.errors]
    rate = max(abs(1 - eta * F.convexity), abs(1 - eta * F.G))
    weights = [rate ** (steps - 1 - t + (not weaker)) for t in range(steps)]
    distance = eta * sum(weight * error for weight, error in zip(weights, run.errors, strict=True))
    values = [F(theta) for theta in run.points]
    lowest = F(F.optimum)
    scale = max(F.size(theta) for theta in (*run.points, F.optimum))
    each_step = [
        Sides(after, before - eta / 2 * slope + eta / 2 * square, scale)
        for before, after, slope, square in zip(values, values[1:], slopes, squares, strict=False)
    ]
    start_gap, kept = values[0] - lowest, (1 - eta * F.m) ** steps
    return (
        Sides(two_norm(run.points[-1] - run.exact), distance, max(two_norm(theta) for theta in run.points)),
        conjunction(*each_step),
        Sides(
            eta * sum(slopes[:-1]) + slopes[-1] / F.G,
            2 * start_gap + eta * sum(squares[:-1]),
            eta * F.G * scale,
        ),
        Sides(values[-1] - lowest, kept * start_gap + (1 - kept) * max(squares) / (2 * F.m), scale),
    )


affines = st.builds(
    synthetic.affine, synthetic.sizes, synthetic.parameters, synthetic.factors, synthetic.seeds
)
single = st.builds(synthetic.affine, synthetic.sizes, st.just(1), synthetic.factors, synthetic.seeds)
solvers = st.one_of(
    st.builds(restarted_jfb, st.integers(1, 4), st.integers(0, 3)),
    st.builds(neumann, st.integers(0, 12), st.integers(1, 4)),
)

CLAIM = Claim(
    id="C12",
    statement="distance, descent, stationarity and PL rate of gradient descent with gradient errors e_t ≤ ε",
    source="PROOFS S9",
    assumptions="F G-smooth, η ≤ 1/G; strongly convex, convex or PL as stated",
    examples=st.tuples(
        st.one_of(synthetic.isotropics, synthetic.symmetrics, affines, single),
        solvers,
        st.sampled_from((0.3, 0.7, 1.0)),
        st.integers(1, 8),
        st.booleans(),
    ),
    sides=lambda *example: conjunction(*learning_inequalities(*example)),
    negative_control=lambda *example: disjunction(*learning_inequalities(*example, weaker=False)),
    false_statement="all four at once, with ϱ^(T−t) and without the errors",
    attained=True,
)
