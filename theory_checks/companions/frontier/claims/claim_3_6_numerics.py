"""3.6: the frontier belongs to the network, not to rounding.

Landscapes of the same networks in float32 and float64, at the largest depth: fewer than 2 % of the signs of all of
them differ, and the dimensions of each by less than .05. (Of a single network more may differ: 2.0 % of one of three.)
Signs of neighbours are correlated (3.4). A rerun gives the same bits. In float64 the size of the chunks changes no
sign.

Evidence: derived. Source: the specification.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ....engine import Evidence, Experiment, Measurement, at_most, reported, zero
from ..simulation import forward_pass, landscapes
from ..simulation.networks import Architecture
from ..simulation.settings import Setting

SAMPLE = 48
"""Cells a side of the window in which reruns and chunks are compared."""


def _differing_signs(setting: Setting, seed: int) -> list[float]:
    """The share of signs that differ between float32 and float64, at each depth."""
    rough, fine = landscapes.landscapes_in_both_precisions(setting, Architecture.MLP, seed)
    return [
        float(((r > setting.threshold) != (f > setting.threshold)).mean())
        for r, f in zip(rough, fine, strict=True)
    ]


def _shallow(setting: Setting, seed: int) -> float:
    """The dimension by resolution at the smallest depth; it would be 2 for weights redrawn for every pixel."""
    return landscapes.frontier_refinement(
        setting, landscapes.landscapes_in_both_precisions(setting, Architecture.MLP, seed)[0][0]
    )


def _sample(setting: Setting, chunk: int | None = None) -> np.ndarray:
    means = setting.float64 if chunk is None else replace(setting.float64, chunk=chunk)
    depth = (setting.depths[-1],)
    return landscapes.network_landscape(
        Architecture.MLP, setting.width, depth, setting.seeds[0], setting.window, SAMPLE, means
    )


def _measure(setting: Setting) -> list[Measurement]:
    """Differences between precisions, reruns and chunks."""
    depth = setting.depths[-1]
    pooled = sum(_differing_signs(setting, seed)[-1] for seed in setting.seeds) / len(setting.seeds)
    _measure = [
        at_most(f"share of signs that differ, D={depth}, {len(setting.seeds)} networks", pooled, 0.02)
    ]
    for seed in setting.seeds:
        share = _differing_signs(setting, seed)
        rough, fine = (
            landscapes.frontier_dimension(setting, f[-1])
            for f in landscapes.landscapes_in_both_precisions(setting, Architecture.MLP, seed)
        )
        _measure += [
            reported(f"share of signs that differ, D={depth}", share[-1], seed),
            at_most(f"|ΔD_f|, float32 − float64, D={depth}", abs(rough - fine), 0.05, seed),
            at_most(f"dimension, float32, D={depth}", rough, 1.9, seed),
            at_most(
                f"dimension by resolution, float32, D={setting.depths[0]}", _shallow(setting, seed), 1.9, seed
            ),
            reported(f"share of signs that differ, D={setting.depths[1]}", share[1], seed),
        ]
    once = _sample(setting)
    other = _sample(setting, chunk=5 * forward_pass.PAD)
    signs = (once > setting.threshold) != (other > setting.threshold)
    _measure += [
        zero("entries that differ in a rerun", float((once != _sample(setting)).sum())),
        zero("signs that differ with other chunks", float(signs.sum())),
        reported("entries that differ with other chunks", float((once != other).sum())),
    ]
    return _measure


def _negative_control(setting: Setting) -> list[Measurement]:
    """Claim that float32 changes no sign."""
    shares = [_differing_signs(setting, seed)[-1] for seed in setting.seeds]
    return [zero(f"share of signs that differ, D={setting.depths[-1]}", share) for share in shares]


EXPERIMENT = Experiment(
    id="3.6",
    statement="float32 against float64: < 2 % of signs, |ΔD_f| < .05; reruns and chunks change nothing",
    source="derived",
    assumptions="the same float32 weights in both; products in full precision (no TF32)",
    evidence=Evidence.DERIVED,
    measure=_measure,
    negative_control=_negative_control,
    false_statement="float32 and float64 give the same signs everywhere",
)
