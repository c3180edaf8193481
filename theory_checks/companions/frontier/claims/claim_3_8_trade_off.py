"""3.8: the deeper, the narrower the band of networks that separate inputs and are robust.

At σ_b = 1 the band is where independent inputs stay apart, ``L > 1e-2``, and a perturbation is not amplified,
``L(ε)/ε² < 1e2``. Its width falls like 1/D: log–log slope in [−1.6, −.9] over D = 10, …, 160, for mean field and for
MLPs of N = 100 (log-means over seeds); and at the largest depth it lies within .04 of the edge of chaos, for N = 100
of the one shifted by finite width.

To first order both ends are at ``ln χ = −ln(1/1e-2)/D`` and ``ln(1e2)/D``, which is where 1/D comes from; a slope
steeper than −1 is the transient of q.

Evidence: guessed (the abstract speaks of a trade-off; levels and slope by the specification).
"""

from __future__ import annotations

from scipy.optimize import root_scalar

from ....engine import Evidence, Experiment, Measurement, at_least, at_most, between, reported
from ..simulation import mean_field, trade_off_bands
from ..simulation.settings import Setting


def _shifted_edge(width: int) -> float:
    """Where ``ln χ = (3κ−1)/(2N)``, κ on the edge of chaos, at σ_b = 1."""
    edge = mean_field.edge_sigma_w(trade_off_bands.SIGMA_B)
    term = mean_field.finite_width_correction(mean_field.fixed_variance(edge, trade_off_bands.SIGMA_B), width)
    solution = root_scalar(
        lambda s: mean_field.log_chi(s, trade_off_bands.SIGMA_B) + term, bracket=(edge, 2 * edge)
    )
    return float(solution.root)


def _measure(setting: Setting) -> list[Measurement]:
    """Widths of the bands, their exponent in depth, and their distance from the edge of chaos."""
    edge = mean_field.edge_sigma_w(trade_off_bands.SIGMA_B)
    both = (
        ("mean field", trade_off_bands.mean_field_bands(setting), edge),
        (
            f"MLP, N={setting.band_width}",
            trade_off_bands.network_bands(setting),
            _shifted_edge(setting.band_width),
        ),
    )
    _measure = []
    for name, band_list, place in both:
        _measure.append(
            between(
                f"slope of log width over log D, {name}",
                trade_off_bands.width_exponent(setting.band_depths, band_list),
                -1.6,
                -0.9,
            )
        )
        for depth, band in zip(setting.band_depths, band_list, strict=True):
            _measure.append(reported(f"width of the band, {name}, D={depth}", band.width))
        _measure.append(
            at_most(
                f"distance of the band from the edge, {name}, D={setting.band_depths[-1]}",
                band_list[-1].distance_from(place),
                0.04,
            )
        )
        _measure.append(reported(f"edge of chaos, {name}", place))
    return _measure


def _negative_control(setting: Setting) -> list[Measurement]:
    """Claim that depth narrows the band more slowly."""
    rate = trade_off_bands.width_exponent(setting.band_depths, trade_off_bands.network_bands(setting))
    return [at_least("slope of log width over log D, N finite", rate, -0.5)]


EXPERIMENT = Experiment(
    id="3.8",
    statement="width of {L > 1e-2, L(ε)/ε² < 1e2} ∝ D^s, −1.6 ≤ s ≤ −.9, about the edge of chaos",
    source="arXiv 2508.03222 (abstract); levels by the specification",
    assumptions="σ_b = 1, D = 10, …, 160; N = 100 or mean field",
    evidence=Evidence.GUESSED,
    measure=_measure,
    negative_control=_negative_control,
    false_statement="the band narrows no faster than D^(−1/2)",
)
