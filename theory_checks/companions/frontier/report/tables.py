"""What was measured, as tables; all of it computed by the experiments already, but for the sweep of the threshold."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from ..claims import claim_3_1_slopes, claim_3_9_backward
from ..simulation import (
    box_counting,
    crossings,
    exponents_in_law,
    fluctuations,
    landscapes,
    layer_slopes,
    mean_field,
    tangents,
    trade_off_bands,
    zooms,
)
from ..simulation.networks import Architecture
from ..simulation.settings import ALL, PLANE, Setting, Window

SWEEP = tuple(float(f"1e-{j}") for j in range(8, 1, -1))
"""Thresholds of the sweep."""


def tables(at: Setting) -> dict[str, pd.DataFrame]:
    """By the stem of their files."""
    return {
        "dimensions": dimensions(at),
        "threshold-sweep": sweep(at),
        "zooms": zoomed(at),
        "slopes": growth(at),
        "finite-width": exponents(at),
        "crossings": crossed(at),
        "bands": banded(at),
    }


def _of(at: Setting, distances: np.ndarray, threshold: float) -> dict[str, float]:
    above = box_counting.signs(distances, threshold)
    cells = box_counting.edges(above)
    return {
        "tau": threshold,
        "dim": box_counting.dimension(cells),
        "frac_above": float(above.mean()),
        "frac_edge": float(cells.mean()),
    }


def _line(
    arch: str, width: float, depth: int, window: Window, cells: int, dtype: str, seed: int
) -> dict[str, object]:
    return {
        "arch": arch,
        "N": width,
        "D": depth,
        "window": str(window),
        "R": cells,
        "dtype": dtype,
        "seed": seed,
    }


def dimensions(at: Setting) -> pd.DataFrame:
    """Of every landscape: architectures, depths, seeds, precisions, the authors' windows, and the controls."""
    rows: list[dict[str, object]] = []

    def add(of: dict[str, object], distances: np.ndarray) -> None:
        rows.append(of | _of(at, distances, at.threshold))

    for architecture in ALL:
        for seed in at.seeds:
            maps = landscapes.single(at, architecture, seed)
            for depth, distances in zip(at.depths, maps, strict=True):
                name = architecture.value
                add(_line(name, at.width, depth, at.window, at.cells, "float32", seed), distances)
    for seed in at.seeds:
        for dtype, maps in zip(
            ("float32", "float64"), landscapes.both_precisions(at, Architecture.MLP, seed), strict=True
        ):
            name, cells = Architecture.MLP.value, at.precise_cells
            add(_line(name, at.width, at.depths[-1], at.window, cells, dtype, seed), maps[-1])
    for shown in at.ladders:
        for window, distances in zip(shown.windows, landscapes.shown(at, shown), strict=True):
            of = (shown.architecture.value, shown.width, shown.depth, window, at.shown_cells)
            add(_line(*of, "float32", at.seeds[0]), distances)
    for window in (at.window, PLANE):
        distances = landscapes.infinite(at, window)[-1]
        add(_line("mean field", math.inf, at.depths[-1], window, at.cells, "float64", -1), distances)
    return pd.DataFrame(rows)


def sweep(at: Setting) -> pd.DataFrame:
    """The dimension at the largest depth, over the threshold."""
    rows = []
    for architecture in ALL:
        for seed in at.seeds:
            distances = landscapes.single(at, architecture, seed)[-1]
            of = _line(architecture.value, at.width, at.depths[-1], at.window, at.cells, "float32", seed)
            rows += [of | _of(at, distances, threshold) for threshold in SWEEP]
    control = landscapes.infinite(at, at.window)[-1]
    of = _line("mean field", math.inf, at.depths[-1], at.window, at.cells, "float64", -1)
    rows += [of | _of(at, control, threshold) for threshold in SWEEP]
    return pd.DataFrame(rows)


def zoomed(at: Setting) -> pd.DataFrame:
    """The dimension in windows that shrink about the frontier."""
    rows = []
    for architecture in (Architecture.MLP, Architecture.CONV):
        for depth in at.zoom_depths:
            for seed in at.zoom_seeds:
                for level in zooms.ladder(at, architecture, depth, seed):
                    of = _line(
                        architecture.value, at.width, depth, level.window, at.zoom_cells, "float64", seed
                    )
                    rows.append(of | {"zoom": level.zoom} | _of(at, level.distances, at.threshold))
    return pd.DataFrame(rows)


def growth(at: Setting) -> pd.DataFrame:
    """Slopes of log squared distances and of log squared gradients, per layer, beside ln χ."""
    rows = []
    widths = (*zip(ALL, at.slope_widths, strict=True), (Architecture.MLP, at.narrow_slope))
    for architecture, width in widths:
        seeds = (
            at.narrow_seeds
            if width == at.narrow_slope and architecture is Architecture.MLP
            else at.slope_seeds
        )
        logs = layer_slopes.close(at, architecture, width, claim_3_1_slopes.POINTS, seeds)
        for (w, b), slope in zip(claim_3_1_slopes.POINTS, layer_slopes.mean_slopes(at, logs), strict=True):
            rows.append(_growth("forward", architecture.value, width, w, b, slope))
    sigma_b = claim_3_9_backward.SIGMA_B
    for w, slope in zip(claim_3_9_backward.SIGMA_W, claim_3_9_backward.found(at), strict=True):
        rows.append(_growth("backward", "MLP", at.backward_width, w, sigma_b, 2 * slope))
    return pd.DataFrame(rows)


def _growth(of: str, arch: str, width: int, w: float, b: float, slope: float) -> dict[str, object]:
    chi = mean_field.log_chi(w, b)
    term = mean_field.finite_width(mean_field.fixed_variance(w, b), width)
    return {
        "pass": of,
        "arch": arch,
        "N": width,
        "sigma_w": w,
        "sigma_b": b,
        "slope": slope,
        "ln_chi": chi,
        "finite_width": term,
    }


def exponents(at: Setting) -> pd.DataFrame:
    """N λ_N on the edge of chaos and its standard error, the two coefficients, and the shift at σ_b = 1."""
    rows = []

    def add(arch: str, width: int, found: tangents.Exponents, of: tuple[float, ...], shift: float) -> None:
        for b, mean, error in zip(of, found.mean, found.error, strict=False):
            q = mean_field.fixed_variance(mean_field.edge_sigma_w(b), b)
            rows.append(
                {
                    "arch": arch,
                    "N": width,
                    "sigma_b": b,
                    "N_lambda": width * mean,
                    "error": width * error,
                    "first_part": fluctuations.first_part(q),
                    "whole": fluctuations.coefficient(b),
                    "shift": shift if b == 1 else math.nan,
                }
            )

    for width, layers in zip(at.exponent_widths, at.exponent_layers, strict=True):
        found = tangents.at_edge(at, width, layers)
        add("MLP", width, found, tangents.SIGMA_B, tangents.shift(width, found))
    for width in at.law_widths[:1]:
        for b in tangents.SIGMA_B:
            add("MLP in law", width, exponents_in_law.at_edge(at, width, b), (b,), math.nan)
    for architecture in (Architecture.STRUCTURED, Architecture.CONV):
        found = tangents.other_at_edge(at, architecture)
        add(architecture.value, at.other_width, found, tangents.SIGMA_B, math.nan)
    return pd.DataFrame(rows)


def crossed(at: Setting) -> pd.DataFrame:
    """Where log-mean distances cross the threshold at σ_b = 1."""
    rows = []
    for architecture in ALL:
        for width, depths in ((100, at.depths), (30, (400,))):
            logs = crossings.mean_logs(at, architecture, width, depths)
            for depth, log in zip(depths, logs, strict=True):
                rows.append(
                    {
                        "arch": architecture.value,
                        "N": width,
                        "D": depth,
                        "crossing": crossings.crossing(crossings.sigma_w(at), log, at.threshold),
                        "predicted": mean_field.crossing(crossings.SIGMA_B, width, depth, at.threshold),
                        "with transient": crossings.expected(width, depth, at.threshold),
                        "edge": mean_field.edge_sigma_w(crossings.SIGMA_B),
                    }
                )
    return pd.DataFrame(rows)


def banded(at: Setting) -> pd.DataFrame:
    """Ends of the bands of the trade-off."""
    rows = []
    for name, found in (
        ("mean field", trade_off_bands.infinite(at)),
        (f"MLP, N={at.band_width}", trade_off_bands.finite(at)),
    ):
        for depth, band in zip(at.band_depths, found, strict=True):
            rows.append(
                {"network": name, "D": depth, "low": band.low, "high": band.high, "width": band.width}
            )
    return pd.DataFrame(rows)
