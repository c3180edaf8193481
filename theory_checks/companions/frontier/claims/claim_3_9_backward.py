"""3.9: gradients grow backwards as distances grow forwards.

The norm of the difference of two random output gradients grows by ``½ ln χ`` a layer, from the output to the input,
within .03 at N = 128; fitted from the 10th layer of the backward pass to the last, mean of 8 seeds, at
σ_b = 1 and σ_w = .9, 1.3, 1.65, 2. With the finite width ``−(3κ−1)/(4N)`` it is closer.

Evidence: derived (read: version 2 of the paper has the backward pass). Source: arXiv 2508.03222v2; the specification.
"""

from __future__ import annotations

import torch

from ....engine import Evidence, Experiment, Measurement, at_most, near
from ..simulation import backward_pass, layer_slopes, mean_field, networks
from ..simulation.networks import Architecture, Network
from ..simulation.settings import Setting

SIGMA_W = (0.9, 1.3, 1.65, 2.0)
SIGMA_B = 1.0


def mean_gradient_growth(setting: Setting) -> list[float]:
    """Mean growth per layer of the logarithm of the norm."""
    logs = torch.from_numpy(backward_pass.gradient_growth(setting, SIGMA_W, SIGMA_B))
    return layer_slopes.mean_slopes(setting, logs).tolist()


def _half_log_chi(sigma_w: float) -> float:
    """``½ ln χ``."""
    return mean_field.log_chi(sigma_w, SIGMA_B) / 2


def _correction(setting: Setting, sigma_w: float) -> float:
    """``−(3κ−1)/(4N)``."""
    return (
        mean_field.finite_width_correction(
            mean_field.fixed_variance(sigma_w, SIGMA_B), setting.backward_width
        )
        / 2
    )


def _autograd_distance() -> float:
    """Relative difference of the written-out gradient from autograd's, for a small network."""
    single = networks.draw_network(Architecture.STRUCTURED, 12, 7, 5)
    network = Network(single.weights.double(), single.biases.double())
    x = networks.two_inputs(12, 5).requires_grad_()
    w, b = torch.tensor([1.3, 1.7], dtype=torch.float64), torch.tensor([0.4, 1.1], dtype=torch.float64)
    z = backward_pass.pre_activations(network, x, w, b)
    output = networks.two_inputs(12, 6)
    (expected,) = torch.autograd.grad(torch.erf(z[-1]), x, output)
    gradient = backward_pass.activation_gradients(network, z.detach(), output, w)[-1]
    return float((gradient - expected).norm() / expected.norm())


def _measure(setting: Setting) -> list[Measurement]:
    """Growth rates of gradients, and the explicit gradient against autograd."""
    _measure = [at_most("relative distance from autograd", _autograd_distance(), 1e-12)]
    for w, slope in zip(SIGMA_W, mean_gradient_growth(setting), strict=True):
        name = f"growth of log ‖Δg‖ per layer, N={setting.backward_width}, σ_w={w:g}"
        _measure.append(near(name, slope, _half_log_chi(w), 0.03))
        _measure.append(
            near(f"{name}, finite width", slope, _half_log_chi(w) + _correction(setting, w), 0.03)
        )
    return _measure


def _negative_control(setting: Setting) -> list[Measurement]:
    """Claim that finite width has no effect."""
    return [
        near(f"growth of log ‖Δg‖ per layer, σ_w={w:g}", slope, _half_log_chi(w), 0.005)
        for w, slope in zip(SIGMA_W, mean_gradient_growth(setting), strict=True)
    ]


EXPERIMENT = Experiment(
    id="3.9",
    statement="d log ‖g₁ − g₂‖ = ½ ln χ a layer, from the output to the input, within .03",
    source="arXiv 2508.03222v2; Schoenholz et al. 2017",
    assumptions="MLP, N = 128; layers 10 and further from the output",
    evidence=Evidence.DERIVED,
    measure=_measure,
    negative_control=_negative_control,
    false_statement="the same within .005: no effect of finite width",
)
