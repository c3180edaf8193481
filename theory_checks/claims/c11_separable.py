"""C11. With ``A = I`` and ``τ = 1`` every estimator is exact.

``T(x) = prox_g(x − (x − y)) = prox_g(y)`` is constant in x. So unrolling, JFB, restarted JFB, the Neumann
series and DEQ all return the derivative of (scaled) soft thresholding in each log-weight:
``−Σ_{i∈b} w_b sign(c_i) [|c_i| > w_b] (Wv)_i / (1 + γ)`` with ``c = W(y + γ/2)`` and ``v = ∇ℓ``. An equality.
Examples with a coefficient at its kink, ``|c_i| = w_b``, are excluded, because there is no derivative.

Source: THEORY C11, by inspection; the thresholding derivative is that of arXiv 2506.13239, learned weights.
"""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from bench.penalties import Penalty
from solvers import Solver, deq, jfb, neumann, restarted_jfb, unrolled

from ..engine import Claim, Sides
from ..instances import variational
from ..instances.diagnostics import kink_margin
from ..instances.variational import (
    Acquisition,
    Identity,
    VariationalProblem,
    VariationalSpec,
    build_variational,
    differentiate,
    distance,
)

MARGIN = 1e-9
"""Distance from its threshold within which a coefficient may be on either side because of rounding."""


def soft_threshold_derivative(built: VariationalProblem) -> Tensor:
    """The derivative of the training loss of ``prox_g(y)`` in each log-weight, ``(1, levels, 3)``."""
    prior, data = built.prior, built.data
    c, limit = _coefficients(built)
    size = 1 + prior.ridge
    shrunk = torch.where(c.abs() > limit, c - limit * c.sign(), 0.0) / size
    v = (prior.wavelets.synthesise(shrunk) - data.truth) / data.truth.numel()
    change = torch.where(c.abs() > limit, -limit * c.sign(), 0.0) / size * prior.wavelets.analyse(v)
    bands = prior.wavelets.bands
    sums = [change[0, 0][bands == band].sum() for band in range(1, int(bands.max()) + 1)]
    return torch.stack(sums).view_as(prior.log_weights)


def _coefficients(built: VariationalProblem) -> tuple[Tensor, Tensor]:
    prior = built.prior
    limit = nn.functional.pad(prior.log_weights.detach().exp().flatten(1), (1, 0))[:, prior.wavelets.bands]
    return prior.wavelets.analyse(built.data.y + 0.5 * prior.ridge), limit


def _problem(penalty: Penalty, photograph: int, seed: int, step: float) -> VariationalSpec:
    return VariationalSpec(Acquisition(Identity(), photograph, seed), penalty, step)


def _sides(penalty: Penalty, photograph: int, seed: int, solver: Solver, step: float = 1.0) -> Sides:
    expected = soft_threshold_derivative(build_variational(_problem(penalty, photograph, seed, 1.0)))
    built = build_variational(_problem(penalty, photograph, seed, step))
    gradient = differentiate(solver, built, built.prior.log_weights, built.data.x0, built.data.truth)
    return Sides(distance(gradient, expected), 0.0, float(expected.norm()))


def _outside(penalty: Penalty, photograph: int, seed: int, solver: Solver) -> str | None:
    c, limit = _coefficients(build_variational(_problem(penalty, photograph, seed, 1.0)))
    return "a coefficient lies on its threshold" if kink_margin(c, limit) < MARGIN else None


CLAIM = Claim(
    id="C11",
    statement="for A = I, τ = 1 every estimator returns the derivative of soft thresholding",
    source="THEORY C11",
    assumptions="A = I, τ = 1, no wavelet coefficient on its threshold",
    examples=st.tuples(
        st.builds(
            variational.elastic_net_penalty, variational.weights, variational.ridges, variational.levels
        ),
        variational.photograph_numbers,
        variational.seeds,
        st.sampled_from(
            (unrolled(1), unrolled(5), jfb(0), jfb(7), restarted_jfb(3, 2), neumann(4, 6), deq(1e-12))
        ),
    ),
    sides=_sides,
    negative_control=lambda penalty, photograph, seed, solver: _sides(penalty, photograph, seed, solver, 0.9),
    false_statement="the same for τ = 0.9",
    outside=_outside,
)
