"""The networks, the mean field and the evaluator of the frontier, against brute force at tiny sizes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.integrate import dblquad
from scipy.special import erf

from theory_checks.companions.frontier.simulation import (
    backward_pass,
    convolution,
    crossings,
    fluctuations,
    forward_pass,
    landscapes,
    layer_slopes,
    mean_field,
    networks,
    tangents,
    trade_off_bands,
)
from theory_checks.companions.frontier.simulation.networks import Architecture, Network
from theory_checks.companions.frontier.simulation.settings import ALL, SMALL, Window

DOUBLE = forward_pass.Computation("cpu", torch.float64, forward_pass.PAD)


def brute(network: Network, inputs: torch.Tensor, w: float, b: float, depth: int) -> float:
    """One point, one input after the other, unit by unit."""
    ends = []
    for x in inputs.T.tolist():
        for weight, bias in zip(
            network.weights[:depth].tolist(), network.biases[:depth].tolist(), strict=True
        ):
            x = [
                math.erf(w * sum(r * v for r, v in zip(row, x, strict=True)) + b * c)
                for row, c in zip(weight, bias, strict=True)
            ]
        ends.append(x)
    one, other = ends
    return sum((p - q) ** 2 for p, q in zip(one, other, strict=True)) / len(one)


@pytest.mark.parametrize("architecture", ALL)
def test_landscape_is_the_network_at_every_point(architecture: Architecture) -> None:
    network, inputs = networks.draw_network(architecture, 6, 5, 1), networks.two_inputs(6, 1)
    at = torch.tensor([[0.5, 1.7, 2.5], [0.0, 1.0, 0.3]], dtype=torch.float64)
    found = forward_pass.network_distances(network, inputs, at, (1, 5), DOUBLE)
    for row, depth in zip(found, (1, 5), strict=True):
        expected = [brute(network, inputs, w, b, depth) for w, b in at.T.tolist()]
        assert row.tolist() == pytest.approx(expected, rel=1e-12)


def test_chunks_and_inputs_that_have_met_change_nothing() -> None:
    network, inputs = networks.draw_network(Architecture.MLP, 8, 120, 2), networks.two_inputs(8, 2)
    at = landscapes.window_nodes(Window((0.3, 3.0), (0.2, 1.5)), 15)
    depths = (10, 120)
    whole = forward_pass.network_distances(
        network, inputs, at, depths, replace(DOUBLE, chunk=6 * forward_pass.PAD)
    )
    parts = forward_pass.network_distances(network, inputs, at, depths, DOUBLE)
    assert torch.equal(whole, parts)
    assert (whole[1] == 0).any()
    assert (whole[1] > 1e-3).any()
    for i in (0, 100, 255):
        (one,) = forward_pass.network_distances(network, inputs, at[:, i : i + 1], (120,), DOUBLE)[0]
        assert whole[1, i] == pytest.approx(float(one), rel=1e-6, abs=1e-20)


def test_columns_kept_are_those_that_differ_and_fill_up_the_pad() -> None:
    first = torch.zeros(3, 4 * forward_pass.PAD)
    second = first.clone()
    second[1, ::7] = 1e-30
    kept = forward_pass.unmet_columns(first, second)
    assert set(range(0, 4 * forward_pass.PAD, 7)) <= set(kept.tolist())
    assert len(kept) % forward_pass.PAD == 0
    assert len(forward_pass.unmet_columns(first, first)) == 0


def test_structured_map_is_two_transforms_and_two_diagonals() -> None:
    width, drawn = 8, networks.generator(3)
    angles = torch.rand((2, 4, width), generator=networks.generator(3)) * 2 * math.pi
    (first, second), x = torch.polar(torch.ones_like(angles), angles), torch.randn(width)
    expected = (
        math.sqrt(2) * torch.fft.fft(second * torch.fft.fft(first * x, norm="ortho"), norm="ortho").real
    )
    found = networks.linear_maps(Architecture.STRUCTURED, width, 4, drawn) @ x
    torch.testing.assert_close(found, expected)


def test_convolution_is_circular_and_its_formula_exact_for_small_inputs() -> None:
    network = networks.draw_network(Architecture.CONV, 12, 8, 0)
    kernel = network.weights[0, :, 0]
    assert torch.equal(network.weights[0, :, 5], kernel.roll(5))
    inputs, w = 1e-7 * networks.two_inputs(12, 0), torch.tensor([0.5, 2.0], dtype=torch.float64)
    found = forward_pass.network_distances(
        network, inputs, torch.stack([w, 0 * w]), tuple(range(1, 9)), DOUBLE
    )
    exact = convolution.linear_log_distances(network.weights, inputs[:, 0] - inputs[:, 1], w)
    torch.testing.assert_close(found.log(), exact, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("q", "c"), [(0.7, 0.2), (2.0, -1.1), (3.0, 2.9)])
def test_overlap_is_the_gaussian_mean(q: float, c: float) -> None:
    def density(v: float, u: float) -> float:
        other = c / math.sqrt(q) * u + math.sqrt(q - c * c / q) * v
        return erf(math.sqrt(q) * u) * erf(other) * math.exp(-(u * u + v * v) / 2) / (2 * math.pi)

    expected = dblquad(density, -7, 7, -7, 7, epsabs=1e-6)[0]
    found = mean_field.overlap(*(torch.tensor(v, dtype=torch.float64) for v in (c, q)))
    assert float(found) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("sigma_b", "sigma_w"), [(0.0, 0.8862), (1.0, 1.6488), (2.0, 2.0801)])
def test_edge_of_chaos(sigma_b: float, sigma_w: float) -> None:
    assert mean_field.edge_sigma_w(sigma_b) == pytest.approx(sigma_w, abs=1e-4)
    if sigma_b:
        assert mean_field.log_chi(mean_field.edge_sigma_w(sigma_b), sigma_b) == pytest.approx(0, abs=1e-10)


def test_no_edge_below_its_end() -> None:
    found = mean_field.edge_sigma_b(np.array([0.5, 0.9, 2.0]))
    assert np.isnan(found).tolist() == [True, False, False]


def test_mean_field_is_the_limit_of_wide_networks() -> None:
    at = torch.tensor([[1.3, 2.0], [0.5, 1.0]], dtype=torch.float64)
    seeds = range(4)
    found = torch.stack(
        [
            forward_pass.network_distances(
                networks.draw_network(Architecture.MLP, 500, 4, s),
                networks.two_inputs(500, s),
                at,
                (4,),
                DOUBLE,
            )[0]
            for s in seeds
        ]
    ).mean(0)
    torch.testing.assert_close(
        found, mean_field.mean_field_distances(at[0], at[1], (4,))[0], rtol=0.12, atol=0
    )


def test_gradients_are_those_of_autograd_and_tangents_their_transpose() -> None:
    network = networks.draw_network(Architecture.MLP, 7, 4, 9)
    of = Network(network.weights.double(), network.biases.double())
    x = networks.two_inputs(7, 9).requires_grad_()
    w, b = torch.tensor([0.7, 1.9], dtype=torch.float64), torch.tensor([0.0, 1.0], dtype=torch.float64)
    z = backward_pass.pre_activations(of, x, w, b)
    g = networks.two_inputs(7, 10)
    (expected,) = torch.autograd.grad(torch.erf(z[-1]), x, g)
    torch.testing.assert_close(backward_pass.activation_gradients(of, z.detach(), g, w)[-1], expected)


def test_derivative_is_that_of_erf() -> None:
    z = torch.linspace(-3, 3, 41, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(torch.erf(z).sum(), z)
    torch.testing.assert_close(tangents.erf_derivative(z.detach()), slope)


def test_slopes_of_lines_and_of_nothing() -> None:
    log = torch.arange(1.0, 21.0).double()[:, None] * torch.tensor([-2.0, 0.5, 1.0])
    log[15, 2] = -math.inf
    found = layer_slopes.fitted_slopes(log, 5)
    assert found[:2].tolist() == pytest.approx([-2.0, 0.5])
    assert math.isnan(found[2])
    assert layer_slopes.fitted_slopes(log, 18).isnan().all()


def test_crossings_and_bands_that_are_not_there_are_nan() -> None:
    line = torch.linspace(0, 1, 11, dtype=torch.float64)
    assert crossings.measured_crossing(line, 10 * (line - 0.52), 1.0) == pytest.approx(0.55)
    assert math.isnan(crossings.measured_crossing(line, line + 5, 1.0))
    assert math.isnan(crossings.measured_crossing(line, line * math.nan, 1.0))
    x = line.numpy()
    assert trade_off_bands.upward_crossing(x, 4 * (x - 0.33), 1.0) == pytest.approx(0.33)
    assert math.isnan(trade_off_bands.upward_crossing(x, x + 3, 1.0))
    assert math.isnan(trade_off_bands.upward_crossing(x, x - 3, 1.0))
    assert math.isnan(
        trade_off_bands.width_exponent(
            (1, 2), (trade_off_bands.Band(0, 1), trade_off_bands.Band(1, math.nan))
        )
    )


def test_whole_coefficient_is_larger_than_its_first_part() -> None:
    expected = {0.5: -1.168, 1.0: -1.702, 2.0: -2.752}
    for sigma_b, coefficient in expected.items():
        q = mean_field.fixed_variance(mean_field.edge_sigma_w(sigma_b), sigma_b)
        assert fluctuations.coefficient(sigma_b) == pytest.approx(coefficient, abs=2e-3)
        assert fluctuations.first_part(q) > coefficient


def test_exponent_of_a_linear_network_is_known() -> None:
    at = replace(SMALL, exponent_chains=8, exponent_burn=5)
    where = torch.tensor([[0.5], [0.0]], dtype=torch.float64)
    found = tangents.lyapunov_exponents(Architecture.MLP, 16, where, 2400, at, 0)
    # Activations vanish, so that a layer is (2σ_w/√π) W, and log ‖Wt‖²/‖t‖² has mean ψ(N/2) − ln(N/2).
    expected = (
        math.log(2 * 0.5 / math.sqrt(math.pi)) + (torch.digamma(torch.tensor(8.0)).item() - math.log(8)) / 2
    )
    assert found.mean[0] == pytest.approx(expected, abs=5 * found.error[0])


def test_the_expected_crossing_is_that_of_mean_field_for_wide_networks_and_right_of_the_law() -> None:
    line = torch.linspace(1.4, 1.7, 601, dtype=torch.float64)
    for depth in (100, 400):
        wide = crossings.crossing_with_transient(10**9, depth, 1e-5)
        distances = mean_field.mean_field_distances(line, torch.ones_like(line), (depth,))[0]
        assert crossings.measured_crossing(line, distances.clamp_min(1e-32).log(), 1e-5) == pytest.approx(
            wide, abs=1e-3
        )
        law = mean_field.predicted_crossing(1.0, 10**9, depth, 1e-5)
        assert 0.005 < wide - law < 0.025
        assert crossings.crossing_with_transient(100, depth, 1e-5) > wide
