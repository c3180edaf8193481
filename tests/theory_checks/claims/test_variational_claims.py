"""The claims on real forward–backward operators hold, and fail where their assumptions or the code are broken."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import strategies as st
from ptwt.constants import WaveletDetailTuple2d
from ptwt.conv_transform_2 import wavedec2, waverec2

from bench.penalties import WeightedPenalty
from solvers import deq, restarted_jfb, unrolled
from theory_checks.claims import (
    c09_forward_backward,
    c10_firm_nonexpansive,
    c11_separable,
    c16_plug_and_play,
    c20_step_size,
    c23_memory,
)
from theory_checks.claims.c10_firm_nonexpansive import firm_nonexpansiveness, point_pair
from theory_checks.engine.claim_runner import verify_claim
from theory_checks.instances import variational


def soft_thresholding_in_a_padded_transform(mode):
    """What a user gets who takes the prox in the coefficients of ``ptwt.wavedec2``."""

    def prox(x):
        approximation, *details = wavedec2(x, "db2", mode=mode, level=2)
        shrunk = [WaveletDetailTuple2d(*(c - c.clamp(-0.2, 0.2) for c in scale)) for scale in details]
        return waverec2((approximation, *shrunk), "db2")

    return prox


@pytest.mark.parametrize("mode", ["symmetric", "periodic", "reflect"])
def test_c10_fails_for_a_padded_wavelet_transform(mode):
    prox = soft_thresholding_in_a_padded_transform(mode)

    def sides(photograph, other, size, shift):
        return firm_nonexpansiveness(prox, *point_pair(photograph, other, size, shift), 1.0)

    arguments = (variational.photograph_numbers, variational.photograph_numbers, c10_firm_nonexpansive.sizes)
    broken = replace(
        c10_firm_nonexpansive.CLAIM,
        examples=st.tuples(*arguments, st.booleans()),
        sides=sides,
        negative_control=sides,
    )
    assert verify_claim(broken, 50).verdict == "FAILS"


@pytest.mark.parametrize("photograph", range(variational.PHOTOGRAPHS))
def test_c10_holds_for_the_same_wavelet_with_an_orthonormal_boundary(photograph):
    prior = variational.Penalty("l1", 0.0, 0.0, "db2", 2, 0.2).build((1, 16, 16), torch.float64)
    one = torch.ones((), dtype=torch.float64)
    with torch.no_grad():
        for other in range(variational.PHOTOGRAPHS):
            for size in (1.0, 0.1, 0.01):
                sides = firm_nonexpansiveness(
                    lambda z: prior.prox(z, one), *point_pair(photograph, other, size, False), 1.0
                )
                # Sums of 256 squares round off by up to as many units; that depends on the machine.
                assert sides.lhs <= sides.rhs + 256 * torch.finfo(torch.float64).eps * sides.scale


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_c9_is_violated_with_half_the_largest_eigenvalue(share):
    """A step of 1.9 on a light blur contracts at the rate of β, not of α."""

    def sides(problem, N, along_mode, photograph):
        data = variational.build_variational(problem).data
        claimed = (data.alpha, share * data.beta)
        return c09_forward_backward.sides_with(problem, N, along_mode, photograph, claimed)

    light = st.sampled_from((variational.GaussianBlur(0.5), variational.GaussianBlur(0.3)))
    problems = st.builds(
        variational.VariationalSpec, variational.acquisitions(light), variational.penalties(), st.just(1.9)
    )
    claim = replace(
        c09_forward_backward.CLAIM,
        examples=st.tuples(problems, st.integers(1, 5), st.booleans(), variational.photograph_numbers),
        sides=sides,
    )
    assert (verify_claim(claim, 100).verdict == "FAILS") == (share < 1)


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("epsilon", [0.05, 0.2, 1.0])
def test_plug_and_play_contracts_exactly_in_its_window_of_steps(alpha, epsilon):
    """PROOFS S8(e); the window is empty for masks (α = 0)."""
    shrink = 1 / (1 + 1 / epsilon)
    for step in torch.linspace(0.013, 2.4, 97).tolist():
        inside = alpha > 0 and shrink / alpha < step < 2 - shrink
        assert inside == (c16_plug_and_play.contraction_bound(alpha, 1.0, step, epsilon) < 1)


@pytest.mark.parametrize(
    "network",
    [
        c16_plug_and_play.Negation(),
        c16_plug_and_play.DenseNetwork(0),
        c16_plug_and_play.ConvolutionalNetwork(3, 1),
    ],
    ids=repr,
)
def test_the_networks_are_nonexpansive_and_reach_their_constant(network):
    x = torch.zeros(1, 1, 16, 16, dtype=torch.float64)
    J = torch.func.jacrev(lambda x: network(x).flatten())(x).reshape(256, 256)
    size = float(torch.linalg.matrix_norm(J, 2))
    assert 0.3 < size <= 1 + 1e-12


@pytest.mark.parametrize("physics", [variational.GaussianBlur(1.0), variational.LostPixels(0.5)], ids=repr)
def test_the_implicit_gradient_in_the_step_vanishes_from_the_usual_start(physics):
    problem = variational.VariationalSpec(
        variational.Acquisition(physics, 0, 0), variational.huber_penalty(0.02, 0.5, 2, 0.1), 1.0
    )
    built = variational.build_variational(problem, learn_step=True)
    truth, log_step = built.data.truth, built.operator.log_step
    exact = variational.differentiate(deq(1e-13, 500), built, log_step, built.data.x0, truth)
    truncated = variational.differentiate(unrolled(3), built, log_step, built.data.x0, truth)
    assert exact.abs() < 1e-10 * truncated.abs()


def test_c20_catches_a_prox_that_forgets_its_step(monkeypatch):
    prox = WeightedPenalty.prox
    monkeypatch.setattr(WeightedPenalty, "prox", lambda self, z, step: prox(self, z, torch.ones_like(step)))
    c20_step_size.equilibrium_of.cache_clear()
    try:
        assert verify_claim(c20_step_size.CLAIM, 100).verdict == "FAILS"
    finally:
        c20_step_size.equilibrium_of.cache_clear()


def test_c23_catches_a_tape_that_grows_with_the_restarts(monkeypatch):
    monkeypatch.setattr(c23_memory, "restarted_jfb", lambda K, R: unrolled(K * (R + 1)))
    assert verify_claim(c23_memory.CLAIM, 100).verdict == "FAILS"


def test_c23_catches_a_series_that_tapes_its_terms(monkeypatch):
    monkeypatch.setattr(c23_memory, "neumann", lambda N, K: restarted_jfb(K, N))
    assert verify_claim(c23_memory.CLAIM, 100).verdict == "FAILS"


def test_c11_excludes_a_coefficient_on_its_threshold():
    arguments = (variational.elastic_net_penalty(0.02, 0.0, 1), 0, 0, unrolled(1))
    assert c11_separable.CLAIM.outside(*arguments) is None
    built = variational.build_variational(
        variational.VariationalSpec(variational.Acquisition(variational.Identity(), 0, 0), arguments[0], 1.0)
    )
    weights = built.operator.prior.log_weights
    kept = weights.detach().clone()
    finest = built.operator.prior.wavelets.analyse(built.data.y)[0, 0, 8, 0].abs()
    with torch.no_grad():
        weights[0, 0, 0] = finest.log()
        reason = c11_separable.CLAIM.outside(*arguments)
        weights.copy_(kept)
    assert reason is not None
