"""Runs of the discrete algorithms on the two-layer network, for claim 1.8."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from . import discrete_schemes, flows, kernel, network, rate_fits
from .activations import TANH
from .discrete_schemes import Inertia, Iteration, Point
from .network import Fit, TwoLayer
from .problem import problem, spread
from .settings import Setting


@dataclass(frozen=True, slots=True)
class _EvaluatedPoint:
    loss: float
    _gradient: Tensor

    def gradient(self) -> Tensor:
        return self._gradient


def objective(fit: Fit) -> discrete_schemes.Objective:
    """The loss ``½|r(θ)|²`` of one θ."""

    def point(theta: Tensor) -> Point:
        r, g = fit.residual_and_gradient(theta)
        return _EvaluatedPoint(float(network.loss(r)), g)

    return point


@dataclass(frozen=True, slots=True)
class SchemeProblem:
    """The problem of claim 1.8.

    Attributes:
        fit, z0: network and start.
        values: eigenvalues of K at z0.
        certified: a bound on the Lipschitz constant of the gradient, valid where ``|r| ≤ |r(z0)|``.
    """

    fit: TwoLayer
    z0: Tensor
    values: Tensor
    certified: float


@cache
def scheme_problem(setting: Setting) -> SchemeProblem:
    """The problem: the squared condition number of A is 100."""
    of = problem(spread(setting.scheme_n, 0.1), setting.seed, setting.device)
    fit, z0 = network.two_layer(of, setting.scheme_k, TANH, setting.seed + 1)
    return SchemeProblem(fit, z0, kernel.network_modes(fit, z0)[0], lipschitz_of_gradient(fit, z0))


def lipschitz_of_gradient(fit: TwoLayer, z0: Tensor) -> float:
    """A bound on the Hessian where ``|r| ≤ |r(z0)|``: ``|A|² |V|²/k + B √(n/k) |A| |r(z0)|``, if ``|φ′| ≤ 1``.

    The Hessian is ``(AJ)ᵀAJ`` plus a diagonal of ``k^(−1/2) (VᵀAᵀr)_j φ″(z_j)``; columns of V have norm √n.
    """
    n, k = fit.V.shape
    A, V = (float(torch.linalg.matrix_norm(M, 2)) for M in (fit.problem.A, fit.V))
    r = float(fit.residual(z0).norm())
    return A**2 * V**2 / k + fit.phi.curvature * math.sqrt(n / k) * A * r


@dataclass(frozen=True, slots=True)
class SchemeRun:
    """A run of a method.

    Attributes:
        method, d, h: name, damping and step; h is nan if it is adaptive.
        steps: the start, then each iteration.
        factor: measured linear factor of ``√(2f + |v|²)`` in the window [1e-8, 1e-2].
        predicted: factor of the kernel at the end; nan if the step is adaptive.
        iterations: number until ``|r| ≤ 1e-8 |r0|``; −1 if never.
    """

    method: str
    d: Inertia
    h: float
    steps: list[Iteration]
    factor: float
    predicted: float
    iterations: int

    @property
    def energies(self) -> list[float]:
        """E at the start and after each iteration."""
        return [s.energy for s in self.steps]


TARGET = 1e-8
"""A run ends when ``|r|`` is below this share of ``|r0|``, and a tenth of its iterations later."""


@cache
def scheme_run(setting: Setting, method: str, d: Inertia, h: float, *, adaptive: bool) -> SchemeRun:
    """Gradient descent if ``d.alpha`` is 0, otherwise ISEHD, to ``TARGET``."""
    b, steps = scheme_problem(setting), setting.scheme_steps
    f = objective(b.fit)
    first, goal = f(b.z0).loss, math.inf
    last = b.z0

    def callback(k: int, theta: Tensor, s: Iteration) -> bool:
        nonlocal goal, last
        last = theta
        if s.loss <= TARGET**2 * first and math.isinf(goal):
            goal = k
        return k >= 1.1 * goal or not math.isfinite(s.loss)

    if d.alpha:
        log = discrete_schemes.isehd(f, b.z0, d, h, steps, callback, adaptive=adaptive)
    else:
        log = discrete_schemes.gradient_descent(f, b.z0, h, steps, callback, adaptive=adaptive)
    sizes = torch.tensor([(2 * s.loss + 2 * s.kinetic) ** 0.5 for s in log])
    rate = rate_fits.decay(torch.arange(len(sizes)), sizes)
    predicted = math.nan
    if not adaptive:
        values, _ = kernel.network_modes(b.fit, last)
        predicted = kernel.factor(values, d.alpha, d.beta, h) if d.alpha else _descent_factor(values, h)
    iterations = -1 if math.isinf(goal) else int(goal)
    return SchemeRun(method, d, math.nan if adaptive else h, log, math.exp(-rate), predicted, iterations)


def _descent_factor(values: Tensor, h: float) -> float:
    return float((1 - h * kernel.nonzero(values)).abs().max())


@cache
def scheme_runs(setting: Setting) -> dict[str, SchemeRun]:
    """The methods of claim 1.8, by name."""
    b = scheme_problem(setting)
    L, mu = float(b.values.max()), kernel.smallest(b.values)
    none, viscous, both = Inertia(0.0), Inertia(2 * mu**0.5), Inertia(2 * mu**0.5, 0.2)
    hessian = Inertia(2 * mu**0.5, mu**0.5 / (2 * L))
    safe, safe_hessian = (0.999 * discrete_schemes.safe_step(L, d) for d in (viscous, hessian))
    runs = (
        scheme_run(setting, "GD, h = 1/L", none, 1 / L, adaptive=False),
        scheme_run(setting, "GD, adaptive", none, 1 / L, adaptive=True),
        scheme_run(setting, "ISEHD, safe h", viscous, safe, adaptive=False),
        scheme_run(setting, "ISEHD, safe h, β > 0", hessian, safe_hessian, adaptive=False),
        scheme_run(setting, "ISEHD, h = 1/√L", viscous, L**-0.5, adaptive=False),
        scheme_run(setting, "ISEHD, adaptive", viscous, L**-0.5, adaptive=True),
        scheme_run(setting, "ISEHD, adaptive, β > 0", both, L**-0.5, adaptive=True),
    )
    return {r.method: r for r in runs}


@cache
def certified_run(setting: Setting) -> tuple[SchemeRun, float]:
    """ISEHD with the step that is safe for the certified L, and that L."""
    b = scheme_problem(setting)
    d = Inertia(2 * kernel.smallest(b.values) ** 0.5, kernel.smallest(b.values) ** 0.5 / (4 * b.certified))
    h = 0.999 * discrete_schemes.safe_step(b.certified, d)
    return scheme_run(setting, "ISEHD, certified h", d, h, adaptive=False), b.certified


def potential(r: SchemeRun, L: float) -> list[float]:
    """``V_k = f_k + ½(1 + βLh)|v_k|²`` at the start and after each iteration."""
    return [s.loss + (1 + r.d.beta * L * r.h) * s.kinetic for s in r.steps]


@cache
def errors_to_flow(setting: Setting) -> tuple[list[float], list[float]]:
    """Steps h, and for each the error of ISEHD at time 16 against the inertial system, relative to ``|θ − θ0|``."""
    b, horizon = scheme_problem(setting), 16.0
    d = Inertia(0.3, 0.5)
    pairs = flows.damping_pairs([d.alpha], [d.beta], setting.device)
    exact = flows.inertial_flow(b.fit, b.z0, pairs, 0.05, horizon, every=320).theta[0]
    hs, errors = [], []
    for n in (64, 128, 256, 512):
        last = b.z0

        def callback(k: int, theta: Tensor, s: Iteration) -> bool:
            nonlocal last
            last = theta
            return False

        discrete_schemes.isehd(objective(b.fit), b.z0, d, horizon / n, n, callback, adaptive=False)
        hs.append(horizon / n)
        errors.append(float((last - exact).norm() / (exact - b.z0).norm()))
    return hs, errors


def heavy_ball_gap(setting: Setting, fit: Fit, z0: Tensor) -> float:
    """Largest relative distance in 60 steps of ISEHD from ``θ + a(θ − θ₋) − βha(g − g₋) − h²a g``, a = 1/(1 + αh)."""
    d, h = Inertia(0.3, 0.5), 0.4
    iterates: list[Tensor] = [z0]

    def callback(k: int, theta: Tensor, s: Iteration) -> bool:
        iterates.append(theta)
        return False

    discrete_schemes.isehd(objective(fit), z0, d, h, 60, callback, adaptive=False)
    a = 1 / (1 + d.alpha * h)
    before, theta, g_before = z0, z0, fit.residual_and_gradient(z0)[1]
    worst = 0.0
    for isehd in iterates[1:]:
        g = fit.residual_and_gradient(theta)[1]
        after = theta + a * (theta - before) - d.beta * h * a * (g - g_before) - h * h * a * g
        before, theta, g_before = theta, after, g
        worst = max(worst, float((theta - isehd).norm() / (theta - z0).norm()))
    return worst


@cache
def underdamped_run(setting: Setting) -> SchemeRun:
    """ISEHD with little damping and a constant step: it converges, but no theorem says that its energy decreases."""
    b = scheme_problem(setting)
    d = Inertia(0.2 * kernel.smallest(b.values) ** 0.5)
    return scheme_run(
        setting, "ISEHD, α = 0.2 √µ, h = 1/√L", d, float(b.values.max()) ** -0.5, adaptive=False
    )
