"""3.3: where the threshold is crossed, at finite width and finite depth.

Along σ_b = 1 the mean over seeds of ``log ‖x₁ − x₂‖²/N`` of independent inputs crosses ``log τ`` at the root of
``ln χ(σ_w) − (3κ−1)/(2N) + ln(1/τ)/D``, κ on the edge of chaos, within .04 for N = 100 and D = 100, 200, 400, and
within .08 for N = 30 and D = 400. At small D it lies below the edge of chaos, at large D above.

The law ignores that inputs are far apart at first, when distances fall faster than by χ a layer; in mean field that
alone moves the crossing by .019, .015, .010 to the right. So the crossing is also compared, with the same tolerance,
with iterated mean-field distances and the whole coefficient of 1/N. Convolutions cross further right, since their
exponent is lower (3.2), and are at the tolerance of the law without the transient.

Two assumptions of both are checked as well: the scale of the distances against mean field, and that maps keep norms and
layers are independent.

Evidence: derived. Source: the specification.
"""

from __future__ import annotations

import math

import torch

from ....engine import Evidence, Experiment, Measurement, at_most, between, near, unmet
from ..simulation import crossings, forward_pass, mean_field, networks
from ..simulation.networks import Architecture
from ..simulation.settings import ALL, Setting

WIDTH, NARROW, NARROW_DEPTH = 100, 30, 400
SCALE_WIDTH, SCALE_SEEDS = 512, 8
DRAWS = 64
CIRCULANT = (
    "the law leaves out the layers in which inputs are not yet close (.019, .015, .010 in mean field), and "
    "the exponent of circulant maps is lower (3.2); with the former it is met"
)


def _measured_crossings(
    setting: Setting, architecture: Architecture, width: int, depths: tuple[int, ...]
) -> list[float]:
    """The measured σ_w of the crossing at each depth."""
    logs = crossings.mean_log_distances(setting, architecture, width, depths)
    return [
        crossings.measured_crossing(crossings.crossing_line(setting), log, setting.threshold) for log in logs
    ]


def _crossings(setting: Setting, architecture: Architecture) -> list[Measurement]:
    _measure = []
    for width, depths, off in ((WIDTH, setting.depths, 0.04), (NARROW, (NARROW_DEPTH,), 0.08)):
        for depth, measured in zip(
            depths, _measured_crossings(setting, architecture, width, depths), strict=True
        ):
            predicted = mean_field.predicted_crossing(crossings.SIGMA_B, width, depth, setting.threshold)
            name = f"σ_w of the crossing, {architecture.value}, N={width}, D={depth}"
            row = near(name, measured, predicted, off)
            whole = crossings.crossing_with_transient(width, depth, setting.threshold)
            _measure.append(unmet(row, CIRCULANT) if architecture is Architecture.CONV else row)
            _measure.append(near(f"{name}, with transient", measured, whole, off))
    return _measure


def _scale() -> Measurement:
    """Mean distances after two layers over those of mean field, at (σ_w, σ_b) = (1.5, 2)."""
    where = torch.tensor([[1.5], [2.0]], dtype=torch.float64)
    means = forward_pass.Computation("cpu", torch.float64, forward_pass.PAD)
    total = 0.0
    for seed in range(SCALE_SEEDS):
        network = networks.draw_network(Architecture.MLP, SCALE_WIDTH, 2, seed)
        inputs = networks.two_inputs(SCALE_WIDTH, seed)
        total += float(forward_pass.network_distances(network, inputs, where, (2,), means)) / SCALE_SEEDS
    expected = float(mean_field.mean_field_distances(where[0], where[1], (2,)))
    return near("distance after 2 layers, of that of mean field", total / expected, 1.0, 0.1)


def _independence(architecture: Architecture) -> list[Measurement]:
    """That maps keep norms on average, and layers are drawn independently, as standard scores."""
    network = networks.draw_network(architecture, SCALE_WIDTH // 8, DRAWS, 3)
    x = networks.two_inputs(network.width, 3)[:, 0].float()
    norms = (network.weights @ x).square().mean(1)
    b, name = network.biases, architecture.value
    scores = {
        "mean ‖Wx‖²/‖x‖² − 1": _score(norms - 1),
        "correlation of neighbouring maps": _score(network.weights[:-1, :, 0] * network.weights[1:, :, 0]),
        "mean b² − 1": _score(b.square() - 1),
        "correlation of biases of neighbouring layers": _score(b[:-1] * b[1:]),
        "correlation of biases of neighbouring units": _score(b[:, :-1] * b[:, 1:]),
    }
    return [at_most(f"|z| of {what}, {name}", score, 4.5) for what, score in scores.items()]


def _score(values: torch.Tensor) -> float:
    """Of a mean that should be 0, over its standard error; rows of a matrix are taken as independent."""
    means = values.flatten(1).mean(1) if values.ndim > 1 else values
    return float(means.mean().abs() / means.std().clamp_min(1e-12) * math.sqrt(len(means)))


def _measure(setting: Setting) -> list[Measurement]:
    """Crossings of the three architectures, and what they rest on."""
    _measure = [_scale()]
    for architecture in ALL:
        _measure += [*_crossings(setting, architecture), *_independence(architecture)]
    edge = mean_field.edge_sigma_w(crossings.SIGMA_B)
    first, *_, last = _measured_crossings(setting, Architecture.MLP, WIDTH, setting.depths)
    _measure.append(
        at_most(f"crossing − edge of chaos, MLP, N={WIDTH}, D={setting.depths[0]}", first - edge, 0.0)
    )
    narrow = _measured_crossings(setting, Architecture.MLP, NARROW, (NARROW_DEPTH,))[0]
    _measure.append(
        between(f"crossing − edge of chaos, MLP, N={NARROW}, D={NARROW_DEPTH}", narrow - edge, 0.0, 1.0)
    )
    _measure.append(
        between(f"crossing, D={setting.depths[-1]} − D={setting.depths[0]}, MLP", last - first, 0.0, 1.0)
    )
    return _measure


def _negative_control(setting: Setting) -> list[Measurement]:
    """Crossings held to the edge of chaos of infinite width and depth."""
    edge = mean_field.edge_sigma_w(crossings.SIGMA_B)
    measured = _measured_crossings(setting, Architecture.MLP, WIDTH, setting.depths)
    return [
        near(f"σ_w of the crossing, MLP, N={WIDTH}, D={depth}", crossing, edge, 0.04)
        for depth, crossing in zip(setting.depths, measured, strict=True)
    ]


EXPERIMENT = Experiment(
    id="3.3",
    statement="the crossing solves ln χ(σ_w) − (3κ−1)/(2N) + ln(1/τ)/D = 0 within .04 (N = 100), .08 (N = 30)",
    source="derived",
    assumptions="independent inputs, σ_b = 1, log-mean over seeds; independent units for the term in 1/N",
    evidence=Evidence.DERIVED,
    measure=_measure,
    negative_control=_negative_control,
    false_statement="the threshold is crossed at the edge of chaos at every depth and width",
)
