"""Curves of the laws of finite size: bands over depth, slopes over ln χ, exponents and shifts over width."""

# The stubs of pandas and seaborn know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false
from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from ..claims import claim_3_2_finite_width
from ..simulation import box_counting, fluctuations, mean_field
from ..simulation.networks import Architecture
from ..simulation.settings import Setting
from . import plot_axes, tables


def bands_figure(setting: Setting) -> Figure:
    """The bands (left) and their widths (right) over depth."""
    table = tables.band_table(setting)
    colours = sns.color_palette("colorblind")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.4, 4.0), layout="constrained")
    for (name, rows), colour, marker in zip(
        table.groupby("network", sort=False), colours, "vo", strict=False
    ):
        left.fill_between(rows["D"], rows["low"], rows["high"], color=colour, alpha=0.3, label=name)
        left.plot(rows["D"], rows["low"], color=colour, lw=1, marker=marker, ms=4)
        left.plot(rows["D"], rows["high"], color=colour, lw=1, marker=marker, ms=4)
        rate = box_counting.slope(np.log(rows["D"]), np.log(rows["width"]))
        right.plot(
            rows["D"],
            rows["width"],
            marker=marker,
            color=colour,
            label=f"{name}: slope {plot_axes.signed(rate)}",
        )
    edge = mean_field.edge_sigma_w(1.0)
    left.axhline(edge, color="0.3", lw=1, ls="--")
    left.text(setting.band_depths[-1], edge - 0.03, "edge of chaos, N → ∞", ha="right", va="top", fontsize=8)
    depths = np.array(setting.band_depths, dtype=float)
    right.plot(depths, table["width"].iloc[0] * depths[0] / depths, color="0.5", lw=1, ls=":", label="1/D")
    left.set(
        xscale="log",
        xlabel="depth D (layers)",
        ylabel=r"$\sigma_w$ (at $\sigma_b = 1$)",
        title="Inputs told apart, perturbations not amplified",
    )
    right.set(
        xscale="log", yscale="log", xlabel="depth D (layers)", ylabel=r"width of the band in $\sigma_w$"
    )
    right.set_title("Separation and robustness exclude each other with depth")
    for ax in (left, right):
        plot_axes.plain(ax, setting.band_depths)
        plot_axes.grid(ax)
        ax.legend(frameon=False)
    return figure


def slopes_figure(setting: Setting) -> Figure:
    """Measured growth rates against ln χ (left), and the difference (right)."""
    table = tables.slope_table(setting)
    table["network"] = (
        table["arch"]
        + ", N = "
        + table["N"].astype(str)
        + table["pass"].map({"forward": "", "backward": ", gradients"})
    )
    table["left"] = table["slope"] - table["ln_chi"]
    figure, (one, other) = plt.subplots(1, 2, figsize=(11.5, 4.4), layout="constrained")
    names = list(dict.fromkeys(table["network"]))
    look = {
        "hue": "network",
        "style": "network",
        "hue_order": names,
        "style_order": names,
        "palette": "colorblind",
        "markers": ["o", "s", "D", "v", "P"][: len(names)],
    }
    sns.scatterplot(table, x="ln_chi", y="slope", ax=one, legend=False, s=45, **look)
    ends = np.array([table["ln_chi"].min(), table["ln_chi"].max()])
    one.plot(ends, ends, color="0.5", lw=1, ls=":")
    near = table[(table["arch"] != Architecture.CONV.value) | (table["sigma_b"] > 0)]
    sns.scatterplot(near, x="ln_chi", y="left", ax=other, s=45, **look)
    grid = np.linspace(*ends, 50)
    other.fill_between(grid, -0.01 - 0.02 * np.abs(grid), 0.01 + 0.02 * np.abs(grid), color="0.85", zorder=0)
    other.axhline(0, color="0.5", lw=1, ls=":")
    one.set(
        xlabel=r"$\ln\chi$ of mean field (per layer)",
        ylabel="measured slope (per layer)",
        title="Growth of squared distances and gradients\n(the low ones: convolution without biases)",
    )
    other.set(
        xlabel=r"$\ln\chi$ of mean field (per layer)",
        ylabel=r"measured slope $-\ln\chi$",
        title="What is left; grey: asked of distances, .01 + 2 %\n(of gradients ± .06)",
    )
    for ax in (one, other):
        plot_axes.grid(ax)
    sns.move_legend(other, "center left", bbox_to_anchor=(1.02, 0.5), frameon=False, title=None)
    return figure


def finite_width_figure(setting: Setting) -> Figure:
    """N λ_N against the two coefficients (left), and the shift of the edge of chaos (right)."""
    table = tables.exponent_table(setting)
    colours = sns.color_palette("colorblind")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.4, 4.2), layout="constrained")
    networks, law = table[table["arch"] == "MLP"], table[table["arch"] == "MLP in law"]
    for (b, rows), colour in zip(networks.groupby("sigma_b"), colours, strict=False):
        left.errorbar(
            rows["N"],
            rows["N_lambda"],
            rows["error"],
            fmt="o",
            color=colour,
            capsize=3,
            label=rf"$\sigma_b$ = {b:g}",
        )
        other = law[law["sigma_b"] == b]
        left.errorbar(other["N"] * 1.12, other["N_lambda"], other["error"], fmt="x", color=colour, capsize=3)
        q = rows["first_part"].iloc[0]
        left.axhline(q, color=colour, lw=1, ls=":")
        left.axhline(fluctuations.coefficient(float(b)), color=colour, lw=1.2)
    left.set(
        xscale="log",
        xlabel="width N",
        ylabel=r"$N\lambda_N$ on the edge of chaos",
        title="Finite networks are ordered there\n(dotted: −(3κ−1)/4; solid: all of first order; ×: in law)",
    )
    plot_axes.plain(left, setting.exponent_widths)
    shift = claim_3_2_finite_width.edge_shifts(setting)
    rate = box_counting.slope(np.log(setting.exponent_widths), np.log(shift)) if min(shift) > 0 else math.nan
    right.plot(
        setting.exponent_widths, shift, "o-", color=colours[0], label=f"MLP: slope {plot_axes.signed(rate)}"
    )
    widths = np.array(setting.exponent_widths, dtype=float)
    right.plot(widths, shift[-1] * widths[-1] / widths, color="0.5", lw=1, ls=":", label="1/N")
    right.set(
        xscale="log",
        yscale="log",
        xlabel="width N",
        ylabel=r"shift of the edge in $\sigma_w$ (at $\sigma_b = 1$)",
        title="and the edge of chaos is further right",
    )
    plot_axes.plain(right, setting.exponent_widths)
    for ax in (left, right):
        plot_axes.grid(ax)
        ax.legend(frameon=False)
    return figure
