"""1.1 With a constant kernel the inertial system is ``r″ + (α + βλ) r′ + λ r = 0`` in each mode, with ``r′(0) = 0``.

Three comparisons: the integrator in parameter space with matrix exponentials in the modes, for a critical α and for an
A that is neither symmetric nor of full rank; the reduced network with the one that has all weights and autograd; and
the fitted rate of a mode with its exact rate. Derived.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from ....engine import Evidence, Experiment, Measurement, at_least, at_most
from ..simulation import flows, kernel, matrix_free, network, rate_fits
from ..simulation.activations import F64, TANH
from ..simulation.problem import gap, problem, spread
from ..simulation.settings import Setting

N, WIDTH, HORIZON = 12, 256, 20.0


@cache
def _linearised_error(setting: Setting, h: float, deficient: bool) -> tuple[Tensor, Tensor, Tensor, float]:
    """Trajectories of the linearised network for five dampings, the critical one first.

    Returns:
        Times; the relative error against the matrix exponentials, ``(T, b)``; ``|r|/((1 + ρt)e^(−ρt)|r0|)``; and µ.
    """
    singular = gap(N, 0.3, 0.5)
    if deficient:
        singular = torch.cat([singular[:-3], torch.zeros(3, dtype=F64)])
    of = problem(singular, setting.seed, setting.device)
    full, z0 = network.two_layer(of, WIDTH, TANH, setting.seed + 1)
    fit = network.linearised(full, z0)
    values, vectors = kernel.network_modes(full, z0)
    mu = kernel.smallest(values)
    root = mu**0.5
    best_alphas = [kernel.best_alpha(mu, b / root) for b in (0.5, 1)]
    alphas = [2 * root, 0.5 * root, *best_alphas, 4 * root]
    betas = [0.0, 0.0, 0.5 / root, 1 / root, 0.25 / root]
    d = flows.damping_pairs(alphas, betas, setting.device)
    path = flows.inertial_flow(fit, z0, d, h, HORIZON, max(1, round(0.2 / h)))
    q, _ = kernel.response(values, d.alpha[None], d.beta[None], path.t[:, None, None])
    exact = (q * (vectors.T @ fit.r0)) @ vectors.T
    # The envelope is a statement on the range of A: outside it r is constant.
    inside = vectors[:, values > kernel.RANK * values.max()]
    error = (path.r - exact).norm(dim=-1) / fit.r0.norm()
    rates = [kernel.rate(values, a, b) for a, b in zip(alphas, betas, strict=True)]
    rho = torch.tensor(rates, dtype=F64, device=setting.device)
    size = (path.r @ inside).norm(dim=-1)
    return path.t, error, size / size[0] / kernel.envelope(rho, path.t[:, None]), mu


@cache
def _reduction_error(setting: Setting) -> float:
    """Largest relative distance between z of the reduced network and ``W u`` of the full one, k = 64."""
    of = problem(gap(8, 0.3, 0.5), setting.seed, setting.device)
    reduced, z0 = network.two_layer(of, 64, TANH, setting.seed + 1)
    full, W0 = network.full_network(reduced, z0, 12, setting.seed + 2)
    d = flows.damping_pairs([0.3, 0.6], [0.0, 0.5], setting.device)
    a = flows.inertial_flow(reduced, z0, d, 0.1, 20.0, 200).theta
    b = full.hidden(flows.inertial_flow(full, W0, d, 0.1, 20.0, 200).theta)
    return float(((a - b).norm(dim=-1) / (a - z0).norm(dim=-1)).max())


def _estimator_error() -> float:
    """Largest relative error of the estimated rate of a single underdamped mode, which is α/2."""
    mu = 0.005
    root, t = mu**0.5, torch.arange(0.0, 600.5, 1.0, dtype=F64)
    errors = []
    for a in (0.5, 1.0, 1.25, 1.5):
        q, dq = kernel.response(t.new_tensor([mu]), t.new_tensor(a * root), t.new_tensor(0.0), t[:, None])
        errors.append(abs(rate_fits.decay(t, rate_fits.energy_norm(q, dq, mu)) / (a * root / 2) - 1))
    return max(errors)


def _envelope_attained() -> float:
    """Smallest ``|r|/((1 + ρt)e^(−ρt)|r0|)`` of one mode at critical damping, where the envelope is exact."""
    mu, t = 0.005, torch.arange(0.0, 300.0, 1.0, dtype=F64)
    q, _ = kernel.response(t.new_tensor(mu), t.new_tensor(2 * mu**0.5), t.new_tensor(0.0), t)
    return float((q / kernel.envelope(mu**0.5, t)).min())


def _best_rate_error(setting: Setting) -> float:
    """Largest distance of ``ρ(α*, β)/√µ`` from 1, over β in [0, 1/√µ]."""
    of = problem(gap(N, 0.3, 0.5), setting.seed, setting.device)
    fit, z0 = network.two_layer(of, WIDTH, TANH, setting.seed + 1)
    values, _ = kernel.network_modes(fit, z0)
    mu = kernel.smallest(values)
    betas = [b / mu**0.5 for b in (0.0, 0.25, 0.5, 0.75, 1.0)]
    return max(abs(kernel.rate(values, kernel.best_alpha(mu, b), b) / mu**0.5 - 1) for b in betas)


def _matrix_free_error(setting: Setting) -> float:
    """Largest relative error of the two extreme eigenvalues from products alone."""
    of = problem(spread(24, 0.3), setting.seed, setting.device)
    fit, z0 = network.two_layer(of, WIDTH, TANH, setting.seed + 1)
    values, _ = kernel.network_modes(fit, z0)
    ends = matrix_free.spectrum_ends(fit.residual, z0, 24, 60, setting.seed)
    return max(abs(ends.largest / float(values.max()) - 1), abs(ends.smallest / float(values.min()) - 1))


def _measure(setting: Setting) -> Sequence[Measurement]:
    """Errors relative to ``|r0|``."""
    fine, coarse = _linearised_error(setting, 0.02, False), _linearised_error(setting, 0.1, False)
    _, error, ratio, mu = _linearised_error(setting, 0.1, True)
    return [
        at_most("error of r against the oracle, h = 0.02", float(fine[1].max()), 1e-6, setting.seed),
        at_most("error of r against the oracle, h = 0.1", float(coarse[1].max()), 1e-6, setting.seed),
        at_most("the same at α = 2√µ exactly", float(coarse[1][:, 0].max()), 1e-6, setting.seed),
        at_most("the same, A of rank n − 3", float(error.max()), 1e-6, setting.seed),
        at_least("µ on the range of A of rank n − 3", mu, 1e-3, setting.seed),
        at_most("|r| over its envelope on that range", float(ratio.max()), 1 + 1e-6, setting.seed),
        at_most(
            "reduced network against all weights, k = 64", _reduction_error(setting), 1e-10, setting.seed
        ),
        at_least("envelope attained by the slow mode", _envelope_attained(), 1 - 1e-9),
        at_most("error of the estimated rate of a mode", _estimator_error(), 0.01),
        at_most("T2: ρ(α*, β)/√µ from 1, five β", _best_rate_error(setting), 1e-6, setting.seed),
        at_most(
            "ends of K without matrices, relative error", _matrix_free_error(setting), 1e-6, setting.seed
        ),
    ]


def _negative_control(setting: Setting) -> Sequence[Measurement]:
    """Claim that the linear system decays without the polynomial factor."""
    t, _, ratio, mu = _linearised_error(setting, 0.1, False)
    bare = ratio[:, 0] * (1 + mu**0.5 * t)
    return [at_most("|r| over e^(−ρt)|r0| at critical damping", float(bare.max()), 1 + 1e-6, setting.seed)]


EXPERIMENT = Experiment(
    id="1.1",
    statement="with J frozen, r(t) is the exponential of [[0, 1], [−λ, −(α + βλ)]] in each mode",
    source="arXiv 2506.02986, linearised",
    assumptions="K frozen at θ0; r′(0) = 0",
    evidence=Evidence.DERIVED,
    measure=_measure,
    negative_control=_negative_control,
    false_statement="critical damping decays as e^(−√µ t), without the factor 1 + √µ t",
)
