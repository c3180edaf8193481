"""3.7: the estimator of the dimension, on sets whose dimension is known.

Lines and circles 1 ± .05, Sierpiński's carpet ln 8/ln 3 ± .01 with boxes of 3^j, level sets of fractional Brownian
surfaces 2 − H ± .2 (the estimator is biased downwards: 1.65 and 1.38 for H = .2 and .5, as it will be for networks),
independent signs at least 1.9. The dimension by resolution is calibrated on the same sets; rare isolated cells have
2 ± .1 by resolution, but below 1.9 by boxes, as a fractal would. All sets go through the same code as the networks. The
threshold of a landscape does not depend on the landscape.

Evidence: derived. Source: the specification.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from ....engine import Evidence, Experiment, Measurement, at_least, at_most, near, zero
from ..simulation import box_counting, calibration_sets, landscapes
from ..simulation.settings import Setting

SLOPES = (0.0, 0.3, 1.3)
RADII = (0.2, 0.3, 0.4)
HURST = (0.2, 0.5, 0.8)
SEEDS = 5


@cache
def _brownian_dimension(setting: Setting, hurst: float) -> float:
    """Mean dimension of level sets through the middle of the surfaces, through ``landscapes.dimension``."""
    # exp turns a surface into positive distances whose median is the threshold.
    surfaces = (calibration_sets.fractional_brownian(setting.cells + 1, hurst, seed) for seed in range(SEEDS))
    return float(
        np.mean([landscapes.frontier_dimension(setting, setting.threshold * np.exp(s)) for s in surfaces])
    )


def _by_resolution(nodes: int) -> list[Measurement]:
    specks = calibration_sets.random_signs(nodes, 1, rare=0.1)
    circles = [box_counting.refinement(calibration_sets.disc(nodes, radius)) for radius in RADII]
    rough = [
        box_counting.refinement(calibration_sets.fractional_brownian(nodes, 0.5, seed) > 0)
        for seed in range(SEEDS)
    ]
    return [
        *(
            near(f"by resolution, circle of radius {r:g}", growth, 1.0, 0.05)
            for r, growth in zip(RADII, circles, strict=True)
        ),
        near(f"by resolution, fractional Brownian, H=0.5, mean of {SEEDS}", float(np.mean(rough)), 1.5, 0.2),
        near("by resolution, specks on a tenth of the nodes", box_counting.refinement(specks), 2.0, 0.1),
        at_most(
            "dimension by boxes, specks on a tenth of the nodes",
            box_counting.dimension(box_counting.frontier_cells(specks)),
            1.9,
        ),
    ]


def _measure(setting: Setting) -> list[Measurement]:
    """Dimensions of known sets."""
    nodes = setting.cells + 1
    _measure = []
    for slope in SLOPES:
        dimension = box_counting.dimension(
            box_counting.frontier_cells(calibration_sets.half_plane(nodes, slope))
        )
        _measure.append(near(f"dimension, line of slope {slope:g}", dimension, 1.0, 0.05))
    for radius in RADII:
        dimension = box_counting.dimension(box_counting.frontier_cells(calibration_sets.disc(nodes, radius)))
        _measure.append(near(f"dimension, circle of radius {radius:g} windows", dimension, 1.0, 0.05))
    carpet = box_counting.dimension(calibration_sets.carpet(5), tuple(3**j for j in range(5)))
    _measure.append(near("dimension, Sierpiński carpet", carpet, math.log(8) / math.log(3), 0.01))
    for hurst in HURST:
        name = f"dimension, fractional Brownian level set, H={hurst:g}, mean of {SEEDS}"
        _measure.append(near(name, _brownian_dimension(setting, hurst), 2 - hurst, 0.2))
    _measure.append(
        at_least(
            "dimension, independent signs",
            box_counting.dimension(box_counting.frontier_cells(calibration_sets.random_signs(nodes, 0))),
            1.9,
        )
    )
    _measure += _by_resolution(nodes)
    # A landscape whose frontier is roughest at 1e-2, so that a threshold chosen afterwards would not be 1e-5.
    rough = 1e-2 * np.exp(3 * calibration_sets.fractional_brownian(nodes, 0.2, 0))
    _measure.append(
        zero("threshold − 1e-5, on a Brownian landscape", landscapes.threshold(setting, rough) - 1e-5)
    )
    return _measure


def _negative_control(setting: Setting) -> list[Measurement]:
    """Claim that the estimator has no bias."""
    return [
        near(f"dimension, H={hurst:g}", _brownian_dimension(setting, hurst), 2 - hurst, 0.01)
        for hurst in HURST
    ]


EXPERIMENT = Experiment(
    id="3.7",
    statement="line, circle 1 ± .05; carpet 1.893 ± .01; fBm level sets 2 − H ± .2; noise ≥ 1.9",
    source="derived; Mandelbrot 1982",
    assumptions="192 cells, boxes of 1, 2, …, 32 cells",
    evidence=Evidence.DERIVED,
    measure=_measure,
    negative_control=_negative_control,
    false_statement="the estimator has no bias: fBm within .01",
)
