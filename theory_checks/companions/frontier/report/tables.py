"""Tables of what the experiments measured; only the dimensions over thresholds are computed here."""

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
"""Thresholds of the table of thresholds."""


def tables(setting: Setting) -> dict[str, pd.DataFrame]:
    """Every table, by the stem of its file."""
    return {
        "dimensions": dimension_table(setting),
        "threshold-sweep": threshold_table(setting),
        "zooms": zoom_table(setting),
        "slopes": slope_table(setting),
        "finite-width": exponent_table(setting),
        "crossings": crossing_table(setting),
        "bands": band_table(setting),
    }


def _dimension_columns(setting: Setting, distances: np.ndarray, threshold: float) -> dict[str, float]:
    above = box_counting.signs(distances, threshold)
    cells = box_counting.frontier_cells(above)
    return {
        "tau": threshold,
        "dim": box_counting.dimension(cells),
        "frac_above": float(above.mean()),
        "frac_edge": float(cells.mean()),
    }


def _landscape_columns(
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


def dimension_table(setting: Setting) -> pd.DataFrame:
    """The dimension of every landscape: architectures, depths, seeds, precisions, ladders, and mean field."""
    rows: list[dict[str, object]] = []

    def add(columns: dict[str, object], distances: np.ndarray) -> None:
        rows.append(columns | _dimension_columns(setting, distances, setting.threshold))

    for architecture in ALL:
        for seed in setting.seeds:
            maps = landscapes.float32_landscapes(setting, architecture, seed)
            for depth, distances in zip(setting.depths, maps, strict=True):
                name = architecture.value
                add(
                    _landscape_columns(
                        name, setting.width, depth, setting.window, setting.cells, "float32", seed
                    ),
                    distances,
                )
    for seed in setting.seeds:
        for dtype, maps in zip(
            ("float32", "float64"),
            landscapes.landscapes_in_both_precisions(setting, Architecture.MLP, seed),
            strict=True,
        ):
            name, cells = Architecture.MLP.value, setting.precise_cells
            add(
                _landscape_columns(
                    name, setting.width, setting.depths[-1], setting.window, cells, dtype, seed
                ),
                maps[-1],
            )
    for ladder in setting.ladders:
        for window, distances in zip(
            ladder.windows, landscapes.ladder_landscapes(setting, ladder), strict=True
        ):
            columns = (ladder.architecture.value, ladder.width, ladder.depth, window, setting.figure_cells)
            add(_landscape_columns(*columns, "float32", setting.seeds[0]), distances)
    for window in (setting.window, PLANE):
        distances = landscapes.mean_field_landscape(setting, window)[-1]
        add(
            _landscape_columns(
                "mean field", math.inf, setting.depths[-1], window, setting.cells, "float64", -1
            ),
            distances,
        )
    return pd.DataFrame(rows)


def threshold_table(setting: Setting) -> pd.DataFrame:
    """The dimension at the largest depth, over the threshold."""
    rows = []
    for architecture in ALL:
        for seed in setting.seeds:
            distances = landscapes.float32_landscapes(setting, architecture, seed)[-1]
            columns = _landscape_columns(
                architecture.value,
                setting.width,
                setting.depths[-1],
                setting.window,
                setting.cells,
                "float32",
                seed,
            )
            rows += [columns | _dimension_columns(setting, distances, threshold) for threshold in SWEEP]
    control = landscapes.mean_field_landscape(setting, setting.window)[-1]
    columns = _landscape_columns(
        "mean field", math.inf, setting.depths[-1], setting.window, setting.cells, "float64", -1
    )
    rows += [columns | _dimension_columns(setting, control, threshold) for threshold in SWEEP]
    return pd.DataFrame(rows)


def zoom_table(setting: Setting) -> pd.DataFrame:
    """The dimension in windows that shrink about the frontier."""
    rows = []
    for architecture in (Architecture.MLP, Architecture.CONV):
        for depth in setting.zoom_depths:
            for seed in setting.zoom_seeds:
                for level in zooms.zoom_levels(setting, architecture, depth, seed):
                    columns = _landscape_columns(
                        architecture.value,
                        setting.width,
                        depth,
                        level.window,
                        setting.zoom_cells,
                        "float64",
                        seed,
                    )
                    rows.append(
                        columns
                        | {"zoom": level.zoom}
                        | _dimension_columns(setting, level.distances, setting.threshold)
                    )
    return pd.DataFrame(rows)


def slope_table(setting: Setting) -> pd.DataFrame:
    """Slopes of log squared distances and of log squared gradients, per layer, beside ln χ."""
    rows = []
    widths = (*zip(ALL, setting.slope_widths, strict=True), (Architecture.MLP, setting.narrow_slope))
    for architecture, width in widths:
        seeds = (
            setting.narrow_seeds
            if width == setting.narrow_slope and architecture is Architecture.MLP
            else setting.slope_seeds
        )
        logs = layer_slopes.close_log_distances(setting, architecture, width, claim_3_1_slopes.POINTS, seeds)
        for (w, b), slope in zip(
            claim_3_1_slopes.POINTS, layer_slopes.mean_slopes(setting, logs), strict=True
        ):
            rows.append(_slope_row("forward", architecture.value, width, w, b, slope))
    sigma_b = claim_3_9_backward.SIGMA_B
    for w, slope in zip(
        claim_3_9_backward.SIGMA_W, claim_3_9_backward.mean_gradient_growth(setting), strict=True
    ):
        rows.append(_slope_row("backward", "MLP", setting.backward_width, w, sigma_b, 2 * slope))
    return pd.DataFrame(rows)


def _slope_row(direction: str, arch: str, width: int, w: float, b: float, slope: float) -> dict[str, object]:
    chi = mean_field.log_chi(w, b)
    term = mean_field.finite_width_correction(mean_field.fixed_variance(w, b), width)
    return {
        "pass": direction,
        "arch": arch,
        "N": width,
        "sigma_w": w,
        "sigma_b": b,
        "slope": slope,
        "ln_chi": chi,
        "finite_width": term,
    }


def exponent_table(setting: Setting) -> pd.DataFrame:
    """N λ_N on the edge of chaos and its standard error, the two coefficients, and the shift at σ_b = 1."""
    rows = []

    def add(
        arch: str, width: int, exponents: tangents.Exponents, sigma_bs: tuple[float, ...], shift: float
    ) -> None:
        for b, mean, error in zip(sigma_bs, exponents.mean, exponents.error, strict=False):
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

    for width, layers in zip(setting.exponent_widths, setting.exponent_layers, strict=True):
        exponents = tangents.edge_exponents(setting, width, layers)
        add("MLP", width, exponents, tangents.SIGMA_B, tangents.edge_shift(width, exponents))
    for width in setting.law_widths[:1]:
        for b in tangents.SIGMA_B:
            add("MLP in law", width, exponents_in_law.exponent_in_law(setting, width, b), (b,), math.nan)
    for architecture in (Architecture.STRUCTURED, Architecture.CONV):
        exponents = tangents.other_edge_exponents(setting, architecture)
        add(architecture.value, setting.other_width, exponents, tangents.SIGMA_B, math.nan)
    return pd.DataFrame(rows)


def crossing_table(setting: Setting) -> pd.DataFrame:
    """The σ_w at which mean log distances cross the threshold, at σ_b = 1, with the predictions."""
    rows = []
    for architecture in ALL:
        for width, depths in ((100, setting.depths), (30, (400,))):
            logs = crossings.mean_log_distances(setting, architecture, width, depths)
            for depth, log in zip(depths, logs, strict=True):
                rows.append(
                    {
                        "arch": architecture.value,
                        "N": width,
                        "D": depth,
                        "crossing": crossings.measured_crossing(
                            crossings.crossing_line(setting), log, setting.threshold
                        ),
                        "predicted": mean_field.predicted_crossing(
                            crossings.SIGMA_B, width, depth, setting.threshold
                        ),
                        "with transient": crossings.crossing_with_transient(width, depth, setting.threshold),
                        "edge": mean_field.edge_sigma_w(crossings.SIGMA_B),
                    }
                )
    return pd.DataFrame(rows)


def band_table(setting: Setting) -> pd.DataFrame:
    """The bands of the trade-off: ends and widths."""
    rows = []
    for name, bands in (
        ("mean field", trade_off_bands.mean_field_bands(setting)),
        (f"MLP, N={setting.band_width}", trade_off_bands.network_bands(setting)),
    ):
        for depth, band in zip(setting.band_depths, bands, strict=True):
            rows.append(
                {"network": name, "D": depth, "low": band.low, "high": band.high, "width": band.width}
            )
    return pd.DataFrame(rows)
