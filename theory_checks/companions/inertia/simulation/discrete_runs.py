"""The discrete algorithms on the two-layer generator: iterations, factors, and energies of claim 1.8."""

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
    """``½|r(θ)|²`` of one θ."""

    def at(theta: Tensor) -> Point:
        r, g = fit.residual_and_gradient(theta)
        return _EvaluatedPoint(float(network.loss(r)), g)

    return at


@dataclass(frozen=True, slots=True)
class SchemeProblem:
    """The problem of claim 1.8.

    Attributes:
        fit, z0: the generator and its start.
        values: eigenvalues of K at z0.
        certified: a bound on the Lipschitz constant of the gradient, valid where ``|r| ≤ |r(z0)|``.
    """

    fit: TwoLayer
    z0: Tensor
    values: Tensor
    certified: float


@cache
def scheme_problem(setting: Setting) -> SchemeProblem:
    """The condition number of A squared is about 100."""
    of = problem(spread(setting.scheme_n, 0.1), setting.seed, setting.device)
    fit, z0 = network.two_layer(of, setting.scheme_k, TANH, setting.seed + 1)
    values, _ = kernel.modes(kernel.kernel(of.A, fit.jacobian(z0)))
    return SchemeProblem(fit, z0, values, lipschitz_of_gradient(fit, z0))


def lipschitz_of_gradient(fit: TwoLayer, z0: Tensor) -> float:
    """``|A|² |V|²/k + B √(n/k) |A| |r(z0)|``, for slopes of φ of at most 1.

    The Hessian is ``(AJ)ᵀAJ`` and a diagonal of ``k^(−1/2) (VᵀAᵀr)_j φ″(z_j)``; columns of V have norm √n.
    """
    n, k = fit.V.shape
    A, V = (float(torch.linalg.matrix_norm(M, 2)) for M in (fit.problem.A, fit.V))
    r = float(fit.residual(z0).norm())
    return A**2 * V**2 / k + fit.phi.curvature * math.sqrt(n / k) * A * r


@dataclass(frozen=True, slots=True)
class SchemeRun:
    """A method on the bench.

    Attributes:
        method, d, h: what ran; h is nan where it adapts.
        steps: the start, and what each iteration left behind.
        factor: measured linear factor of ``√(2f + |v|²)`` in the window [1e-8, 1e-2].
        predicted: by the frozen kernel at the end; nan where the step adapts.
        iterations: to ``|r| ≤ 1e-8 |r0|``, −1 if never.
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
        """E from the start on."""
        return [s.energy for s in self.steps]


TARGET = 1e-8


@cache
def scheme_run(setting: Setting, method: str, d: Inertia, h: float, *, adaptive: bool) -> SchemeRun:
    """GD where ``d.alpha`` is 0, otherwise ISEHD, until ``|r|`` is 1e-8 of what it was, and half as long again."""
    b, steps = scheme_problem(setting), setting.scheme_steps
    f = objective(b.fit)
    first, goal = f(b.z0).loss, math.inf
    last = b.z0

    def seen(k: int, theta: Tensor, s: Iteration) -> bool:
        nonlocal goal, last
        last = theta
        if s.loss <= TARGET**2 * first and math.isinf(goal):
            goal = k
        return k >= 1.1 * goal or not math.isfinite(s.loss)

    if d.alpha:
        log = discrete_schemes.isehd(f, b.z0, d, h, steps, seen, adaptive=adaptive)
    else:
        log = discrete_schemes.gradient_descent(f, b.z0, h, steps, seen, adaptive=adaptive)
    sizes = torch.tensor([(2 * s.loss + 2 * s.kinetic) ** 0.5 for s in log])
    rate = rate_fits.decay(torch.arange(len(sizes)), sizes)
    predicted = math.nan
    if not adaptive:
        values, _ = kernel.modes(kernel.kernel(b.fit.problem.A, b.fit.jacobian(last)))
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
    still, heavy, both = Inertia(0.0), Inertia(2 * mu**0.5), Inertia(2 * mu**0.5, 0.2)
    hessian = Inertia(2 * mu**0.5, mu**0.5 / (2 * L))
    made = (
        scheme_run(setting, "GD, h = 1/L", still, 1 / L, adaptive=False),
        scheme_run(setting, "GD, adaptive", still, 1 / L, adaptive=True),
        scheme_run(
            setting, "ISEHD, safe h", heavy, 0.999 * discrete_schemes.safe_step(L, heavy), adaptive=False
        ),
        scheme_run(
            setting,
            "ISEHD, safe h, β > 0",
            hessian,
            0.999 * discrete_schemes.safe_step(L, hessian),
            adaptive=False,
        ),
        scheme_run(setting, "ISEHD, h = 1/√L", heavy, L**-0.5, adaptive=False),
        scheme_run(setting, "ISEHD, adaptive", heavy, L**-0.5, adaptive=True),
        scheme_run(setting, "ISEHD, adaptive, β > 0", both, L**-0.5, adaptive=True),
    )
    return {r.method: r for r in made}


@cache
def certified_run(setting: Setting) -> tuple[SchemeRun, float]:
    """ISEHD with the step that is safe for the certified L, and that L."""
    b = scheme_problem(setting)
    d = Inertia(2 * kernel.smallest(b.values) ** 0.5, kernel.smallest(b.values) ** 0.5 / (4 * b.certified))
    h = 0.999 * discrete_schemes.safe_step(b.certified, d)
    return scheme_run(setting, "ISEHD, certified h", d, h, adaptive=False), b.certified


def potential(r: SchemeRun, L: float) -> list[float]:
    """``V_k = f_k + ½(1 + βLh)|v_k|²`` from the start on."""
    return [s.loss + (1 + r.d.beta * L * r.h) * s.kinetic for s in r.steps]


@cache
def errors_to_flow(setting: Setting) -> tuple[list[float], list[float]]:
    """Steps h, and the distance of ISEHD to the inertial system at a fixed time, relative to the way gone."""
    b, horizon = scheme_problem(setting), 16.0
    d = Inertia(0.3, 0.5)
    path = flows.inertial_flow(
        b.fit, b.z0, flows.damping_pairs([d.alpha], [d.beta], setting.device), 0.05, horizon, every=320
    )
    hs, errors = [], []
    for n in (64, 128, 256, 512):
        last = b.z0

        def seen(k: int, theta: Tensor, s: Iteration) -> bool:
            nonlocal last
            last = theta
            return False

        discrete_schemes.isehd(objective(b.fit), b.z0, d, horizon / n, n, seen, adaptive=False)
        hs.append(horizon / n)
        errors.append(float((last - path.theta[0]).norm() / (path.theta[0] - b.z0).norm()))
    return hs, errors


def heavy_ball_gap(setting: Setting, fit: Fit, z0: Tensor) -> float:
    """Largest relative distance over 60 steps of ISEHD to ``θ + a(θ − θ₋) − βha(g − g₋) − h²a g``, a = 1/(1 + αh)."""
    d, h = Inertia(0.3, 0.5), 0.4
    iterates: list[Tensor] = [z0]

    def seen(k: int, theta: Tensor, s: Iteration) -> bool:
        iterates.append(theta)
        return False

    discrete_schemes.isehd(objective(fit), z0, d, h, 60, seen, adaptive=False)
    a = 1 / (1 + d.alpha * h)
    before, now, g_before = z0, z0, fit.residual_and_gradient(z0)[1]
    worst = 0.0
    for theirs in iterates[1:]:
        g = fit.residual_and_gradient(now)[1]
        ahead = now + a * (now - before) - d.beta * h * a * (g - g_before) - h * h * a * g
        before, now, g_before = now, ahead, g
        worst = max(worst, float((now - theirs).norm() / (now - z0).norm()))
    return worst


@cache
def underdamped_run(setting: Setting) -> SchemeRun:
    """ISEHD with little damping and a constant step that converges, of which the energy is not told to decrease."""
    b = scheme_problem(setting)
    d = Inertia(0.2 * kernel.smallest(b.values) ** 0.5)
    return scheme_run(
        setting, "ISEHD, α = 0.2 √µ, h = 1/√L", d, float(b.values.max()) ** -0.5, adaptive=False
    )
