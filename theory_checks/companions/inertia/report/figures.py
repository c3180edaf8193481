"""Figures of the runs on inertia."""

# The stubs of pandas and seaborn know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..simulation import damping_grid, kernel, photograph_runs, recovery, width_laws
from ..simulation.photograph_runs import PhotographRun
from ..simulation.settings import Setting


def _colours(n: int) -> list[tuple[float, float, float]]:
    return list(sns.color_palette("colorblind", n))


def heat_map(setting: Setting) -> Figure:
    """Rates over the plane of dampings: measured, of the constant kernel, and exact over a wider range."""
    s, entries = damping_grid.grid_problem(setting, True), damping_grid.grid_entries(setting, True)
    root = s.mu**0.5
    figure, axes = plt.subplots(1, 3, figsize=(14, 4.2), layout="constrained", width_ratios=(1, 1, 1.25))
    # Numbers in the cells of a small grid; in a large one, every second label.
    few = len(entries) <= 40
    for ax, name, title in (
        (axes[0], "measured", "measured, network"),
        (axes[1], "at_start", "predicted, kernel frozen at θ(0)"),
    ):
        grid = pd.DataFrame([{"α/√µ": e.a, "β√µ": e.b, "rate": getattr(e, name) / root} for e in entries])
        table = grid.pivot(index="β√µ", columns="α/√µ", values="rate").iloc[::-1]
        sns.heatmap(
            table,
            ax=ax,
            vmin=0,
            vmax=1,
            cmap="viridis",
            annot=few,
            fmt=".2f",
            cbar=False,
            annot_kws={"size": 9},
            xticklabels=1 if few else 2,
            yticklabels=1 if few else 2,
        )
        ax.tick_params(axis="y", rotation=0)
        ax.set(title=f"Rate / √µ: {title}", xlabel="α / √µ", ylabel="β √µ")
    alphas, betas = np.geomspace(0.05, 60, 200), np.linspace(0, 1, 60)
    a, b = (torch.from_numpy(side).to(s.values) for side in (alphas * root, betas / root))
    modes = kernel.mode_rate(kernel.nonzero(s.values), a[None, :, None], b[:, None, None])
    exact = (modes.amin(-1) / root).cpu().numpy()
    mesh = axes[2].pcolormesh(alphas, betas, exact, vmin=0, vmax=1, cmap="viridis", rasterized=True)
    level = axes[2].contour(alphas, betas, exact, levels=[root], colors="white", linestyles="--")
    axes[2].plot(2 - betas, betas, color="tab:red", lw=2, label="α* = 2√µ − βµ")
    axes[2].plot([], [], color="white", ls="--", label=f"rate µ of gradient flow, √µ = {root:.3f}")
    axes[2].clabel(level, fmt="gradient flow", fontsize=8)
    axes[2].scatter(
        [e.a for e in entries], [e.b for e in entries], s=9, c="black", label="measured on the left"
    )
    axes[2].set(xscale="log", title="Rate / √µ: exact ρ(α, β)", xlabel="α / √µ", ylabel="β √µ")
    axes[2].legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, fontsize=8, facecolor="0.6")
    figure.colorbar(mesh, ax=axes[2], label="rate / √µ")
    return figure


def residuals(setting: Setting) -> Figure:
    """``|r|`` against time, with the envelope T1, for three dampings and gradient flow."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", sharey=True)
    for ax, near, title in zip(
        axes, (True, False), ("x̄ near the first image", "x̄ far from the first image"), strict=True
    ):
        s = damping_grid.grid_problem(setting, near)
        pairs, path = damping_grid.grid_trajectories(setting, near)
        g = damping_grid.gradient_flow_run(setting, near)
        wanted = [p for p in ((1.0, 0.0), (2.0, 0.0), (3.0, 0.0)) if p in pairs] or pairs[:3]
        names = {1.0: "underdamped", 2.0: "critical", 3.0: "overdamped"}
        for (a, b), colour in zip(wanted, _colours(4), strict=False):
            i = pairs.index((a, b))
            size = (path.r[:, i].norm(dim=-1) / path.r[0, i].norm()).cpu()
            ax.plot(
                path.t.cpu().numpy(), size.numpy(), color=colour, label=f"α = {a:g}√µ, {names.get(a, '')}"
            )
            rho = kernel.rate(s.values, a * s.mu**0.5, b / s.mu**0.5)
            ax.plot(
                path.t.cpu().numpy(), kernel.envelope(rho, path.t).cpu().numpy(), color=colour, ls=":", lw=1.2
            )
        ax.plot(g.t.cpu().numpy(), (g.size / g.size[0]).cpu().numpy(), color="0.3", label="gradient flow")
        ax.plot([], [], color="0.3", ls=":", label="(1 + ρt)e^(−ρt), ρ at the start")
        ax.set(
            yscale="log",
            ylim=(1e-10, 3),
            xlim=(0, setting.horizon),
            xlabel="time t",
            title=f"Residual, {title}",
        )
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("|r(t)| / |r(0)|")
    axes[1].legend(fontsize=8)
    return figure


def width_figure(setting: Setting) -> Figure:
    """The changes of the Jacobian and the kernel over the width, with fitted exponents."""
    changes = width_laws.drifts(setting)
    ks = np.array([d.k for d in changes], float)
    concentration, jacobian, drift = width_laws.width_exponents(changes)
    series = (
        ("|J(T) − J(0)| / |J(0)|", [d.jacobian for d in changes], jacobian),
        ("|JJᵀ/C² − I| at the start", [d.concentration for d in changes], concentration),
        ("|K(T) − K(0)| / |K(0)|", [d.kernel for d in changes], drift),
    )
    figure, ax = plt.subplots(figsize=(5.6, 4.2), layout="constrained")
    for (name, values, slope), colour, marker in zip(series, _colours(3), "osD", strict=True):
        ax.plot(ks, values, marker, color=colour, label=f"{name}: slope {slope:.2f}".replace("-", "−"))
        centre = np.exp(np.log(values).mean())
        ax.plot(ks, centre * (ks / np.exp(np.log(ks).mean())) ** slope, color=colour, lw=1)
    ax.set(yscale="log", xlabel="width k", ylabel="relative distance, operator norm")
    ax.set_xscale("log", base=2)
    ax.set_title("What is not constant in training falls with the width")
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    return figure


def recovery_curves(setting: Setting) -> Figure:
    """Error and bound over time, with the stopping time of the discrepancy principle."""
    cases = [c for c in recovery.recovery_runs(setting) if c.noise]
    figure, axes = plt.subplots(1, len(cases), figsize=(4.2 * len(cases), 3.8), layout="constrained")
    error, limit, residual, _ = _colours(4)
    for ax, c in zip(axes, cases, strict=True):
        t = (c.t + c.t[1]).numpy()
        ax.plot(t, c.error.numpy(), color=error, label="error |x − x̄|")
        ax.plot(t, recovery.bound(c).numpy(), color=limit, ls="--", label="bound on it")
        ax.plot(t, c.residual.numpy(), color=residual, label="residual |r|")
        if c.stop >= 0:
            ax.axvline(t[c.stop], color="0.4", lw=1, ls=":", label="first |r| ≤ |ε|")
            ax.plot(t[c.stop], float(c.error[c.stop]), "o", color=error)
        ax.set(xscale="log", yscale="log", xlabel="time t", title=f"Recovery: {c.name}", ylim=(0.05, 200))
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("Euclidean norm")
    axes[-1].legend(fontsize=8)
    return figure


def _curves(setting: Setting) -> list[tuple[PhotographRun, str]]:
    """The runs on the photograph with their line styles; dotted is what the theory does not cover."""
    methods = (photograph_runs.descent_run(setting), photograph_runs.adam_run(setting))
    tanh = [(run, "-") for run in (*methods, *photograph_runs.tanh_runs(setting))]
    return [*tanh, (photograph_runs.relu_run(setting), ":")]


def photograph_curves(setting: Setting) -> Figure:
    """Residual and PSNR of each method against iterations."""
    from bench.report.figure_style import number_log

    runs = _curves(setting)
    figure, axes = plt.subplots(1, 2, figsize=(13.5, 4.2), layout="constrained")
    for (f, line), colour in zip(runs, _colours(len(runs)), strict=True):
        k = np.arange(1, len(f.residual) + 1)
        label = f.method + (", ReLU (not covered)" if f.activation == "ReLU" else "")
        axes[0].plot(k, f.residual, line, color=colour, label=label)
        axes[1].plot(k, f.psnr, line, color=colour)
        if f.stop > 0:
            axes[1].plot(f.stop, f.psnr[f.stop - 1], "o", color=colour, ms=5)
    of = photograph_runs.blurred_photograph(setting)
    measured = of.measured_psnr
    axes[1].axhline(measured, color="0.6", lw=1, ls="--")
    axes[1].text(1.1, measured + 0.08, "measurements", fontsize=8, color="0.4")
    axes[0].axhline(1, color="0.4", lw=1, ls="--")
    axes[0].text(1.1, 1.03, "noise", fontsize=8, color="0.4")
    axes[0].set(
        xscale="log", yscale="log", xlabel="iteration", ylabel="|r| / |ε|", title="Residual on the photograph"
    )
    number_log(axes[0].yaxis)
    axes[1].set(
        xscale="log",
        xlabel="iteration",
        ylabel="PSNR (dB)",
        title="Reconstruction; dots: residual first at the noise",
    )
    for ax in axes:
        ax.grid(alpha=0.3)
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside right center", fontsize=8, title="α in √λ_max, β in 1/√λ_max")
    return figure


def _picture(ax: Axes, image: torch.Tensor, title: str) -> None:
    ax.imshow(image.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set_title(title, fontsize=8.5)
    ax.set_axis_off()


def photograph_strip(setting: Setting) -> Figure:
    """Truth, measurements and reconstructions."""
    of = photograph_runs.blurred_photograph(setting)
    gd = photograph_runs.descent_run(setting)
    adam = photograph_runs.adam_run(setting)
    best = photograph_runs.fastest(photograph_runs.tanh_runs(setting))
    pictures = [
        (of.truth[0, 0].cpu(), "photograph"),
        (of.y[0, 0].cpu(), f"measured, {of.measured_psnr:.1f} dB"),
        (gd.at_end, f"gradient descent\nafter {len(gd.psnr)}, {gd.psnr[-1]:.1f} dB"),
        (best.at_stop, f"{best.method}\nstopped after {best.stop}, {best.psnr[best.stop - 1]:.1f} dB"),
        (best.at_end, f"{best.method}\nafter {len(best.psnr)}, {best.psnr[-1]:.1f} dB"),
        (adam.at_stop, f"{adam.method}\nstopped after {adam.stop}, {adam.psnr[adam.stop - 1]:.1f} dB"),
    ]
    figure, axes = plt.subplots(1, len(pictures), figsize=(2.25 * len(pictures), 2.7), layout="constrained")
    for ax, (image, title) in zip(axes, pictures, strict=True):
        _picture(ax, image, title)
    return figure


def figures(setting: Setting) -> dict[str, Figure]:
    """Every figure, by the stem of its file."""
    return {
        "heat-map": heat_map(setting),
        "residuals": residuals(setting),
        "width-laws": width_figure(setting),
        "recovery-curves": recovery_curves(setting),
        "photograph-curves": photograph_curves(setting),
        "photograph-images": photograph_strip(setting),
    }
