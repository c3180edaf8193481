"""The figures: images, matching patch sizes, errors and densities, where patches come from, and noise levels."""

# The stubs of pandas and seaborn know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from ..claims import claim_2_8_density
from ..simulation import estimators, evaluation, psnr_matches
from ..simulation.problems import Denoise
from ..simulation.settings import Case, Setting

SHOWN = 5
"""Index of the test image in the figures."""


def figures(setting: Setting) -> dict[str, Figure]:
    """Every figure, by the stem of its file."""
    return {
        "images": _images(setting),
        "windows": _windows(setting),
        "density": _density(setting),
        "sources": _sources(setting),
        "levels": _levels(setting),
    }


def _problems(setting: Setting) -> list[Case]:
    """The first network of each problem."""
    return list({(case.operator, case.aware): case for case in reversed(setting.cases)}.values())[::-1]


def _images(setting: Setting) -> Figure:
    cases = _problems(setting)
    figure, axes = plt.subplots(len(cases), 5, figsize=(7.6, 1.62 * len(cases)), layout="constrained")
    for line, (row, case) in enumerate(zip(axes, cases, strict=True)):
        match = psnr_matches.match(setting, case, "test", setting.sigma, setting.windows)
        measured = evaluation.measurements(setting, case.operator, case.aware, "test", setting.sigma)
        columns = {
            "measured y": measured.y,
            "LE-MMSE": evaluation.local_estimate(
                setting, case.operator, case.aware, "test", setting.sigma, case.P
            ).x,
            "network": evaluation.network_output(setting, case, "test", setting.sigma),
            "MMSE": evaluation.mmse_estimate(setting, case.operator, "test", setting.sigma),
            "truth x": measured.x,
        }
        for ax, (name, images) in zip(row, columns.items(), strict=True):
            picture = images[SHOWN % len(images)].clamp(0, 1).permute(1, 2, 0).squeeze(2).cpu().numpy()
            ax.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            ax.set(xticks=[], yticks=[])
            if line == 0:
                ax.set_title(name)
        row[0].set_ylabel(match.label.replace(", ", "\n") + f"\n{case.architecture.name}", fontsize=8)
        row[2].set_xlabel(f"to LE-MMSE {match.own:.1f} dB", fontsize=8)
        row[3].set_xlabel(f"to the network {match.mmse:.1f} dB", fontsize=8)
    figure.suptitle(
        f"Networks compute LE-MMSE, not MMSE (σ = {setting.sigma:g}, {evaluation.images(setting).label})\n"
        f"one of {setting.match_images} test images; PSNR over all of them",
        fontsize=10,
    )
    return figure


def _windows(setting: Setting) -> Figure:
    cases = sorted((*setting.cases[:1], *setting.dominance), key=lambda case: case.P)
    figure, axes = plt.subplots(1, 2, figsize=(8.2, 1.3 + 0.62 * len(cases)), layout="constrained")
    for ax, split in zip(axes, psnr_matches.SPLITS, strict=True):
        matches = [psnr_matches.match(setting, case, split, setting.sigma, setting.windows) for case in cases]
        frame = pd.DataFrame(
            [m.local | {"MMSE": m.mmse} for m in matches], index=pd.Index([f"{m.case.P}" for m in matches])
        )
        sns.heatmap(
            frame, annot=True, fmt=".1f", cmap="cividis", ax=ax, vmin=12, vmax=40, cbar=split == "test",
            cbar_kws={"label": "PSNR (dB)"},
        )  # fmt: skip
        ax.set(title=f"{split} images", xlabel="patch size P′ of LE-MMSE", ylabel="receptive field P")
        ax.tick_params(axis="y", rotation=0)
    figure.suptitle("PSNR of a network and LE-MMSE is largest where P′ = P (denoising)", fontsize=10)
    return figure


def _density(setting: Setting) -> Figure:
    figure, axes = plt.subplots(1, 2, figsize=(8.2, 3.4), sharey=True, layout="constrained")
    for ax, split in zip(axes, psnr_matches.SPLITS, strict=True):
        rarity, error = (values.numpy() for values in claim_2_8_density.rarity_and_error(setting, split))
        errors = np.maximum(error, 1e-7)
        bins = ax.hexbin(rarity, errors, yscale="log", gridsize=36, bins="log", mincnt=1, cmap="cividis")
        edges = np.quantile(rarity, np.linspace(0, 1, 9))
        at_bin = np.clip(np.searchsorted(edges, rarity) - 1, 0, 7)
        middles = [(rarity[at_bin == b].mean(), np.median(errors[at_bin == b])) for b in range(8)]
        ax.plot(
            *np.array(middles).T, "o-", color="#d55e00", mec="white", label="median, by eighths of the pixels"
        )
        rho = claim_2_8_density._correlation(setting, split)
        ax.set(
            title=f"{split} images: Spearman {rho:.2f}",
            xlabel="−log p of the patch (nats)",
            ylim=(1e-7, None),
        )
        figure.colorbar(bins, ax=ax, label="pixels" if split == "test" else "")
    axes[0].set_ylabel("|N − LE-MMSE|²")
    axes[1].legend(loc="lower right", frameon=True, fontsize=8)
    figure.suptitle("A network is further from LE-MMSE where patches are rare", fontsize=10)
    return figure


def _sources(setting: Setting) -> Figure:
    levels = (0.03, 0.06, 0.1)
    P, train = setting.cases[0].P, evaluation.images(setting).train
    figure, axes = plt.subplots(len(levels), 4, figsize=(7.4, 1.9 * len(levels)), layout="constrained")
    colours = np.array(sns.color_palette("husl", 32))
    for row, sigma in zip(axes, levels, strict=True):
        measured = evaluation.measurements(setting, Denoise(), False, "test", sigma)
        index = SHOWN % len(measured.y)
        estimate = estimators.local(measured.y[index : index + 1], train, measured.problem, sigma, P)
        source, weight = estimate.source[0].cpu().numpy(), estimate.weight[0].cpu().numpy()
        picture = np.where(weight[:, None] > 0.5, colours[source * 7 % 32], 1.0).reshape(
            setting.size, setting.size, 3
        )
        images = (measured.y[index], estimate.x[0], None, measured.x[index])
        for ax, image in zip(row, images, strict=True):
            if image is None:
                ax.imshow(picture, interpolation="nearest")
                ax.set_xlabel(f"different images: {len(set(source[weight > 0.5]))}", fontsize=8)
            else:
                ax.imshow(
                    image.clamp(0, 1).mean(0).cpu().numpy(),
                    cmap="gray",
                    vmin=0,
                    vmax=1,
                    interpolation="nearest",
                )
            ax.set(xticks=[], yticks=[])
        row[0].set_ylabel(f"σ = {sigma:g}")
    for ax, title in zip(axes[0], ("measured y", "LE-MMSE", "source, weight > ½", "truth x"), strict=True):
        ax.set_title(title, fontsize=9)
    figure.suptitle(
        f"LE-MMSE is a patchwork: the training image behind each pixel's {P}×{P} patch\n"
        "(a colour an image, white where no patch has more than half of the weight)",
        fontsize=10,
    )
    return figure


def _levels(setting: Setting) -> Figure:
    figure, ax = plt.subplots(figsize=(5.6, 3.5), layout="constrained")
    case, colours = setting.by_level, sns.color_palette("colorblind")
    sigmas = sorted(case.sigmas)
    for split, style in zip(psnr_matches.SPLITS, ("-", "--"), strict=True):
        matches = [psnr_matches.match(setting, case, split, sigma, (case.P,)) for sigma in sigmas]
        lines = {
            "network, LE-MMSE": [m.own for m in matches],
            "network, MMSE": [m.mmse for m in matches],
            "LE-MMSE, truth": [m.best for m in matches],
        }
        for colour, marker, (name, values) in zip(colours, "osD", lines.items(), strict=False):
            ax.plot(sigmas, values, style, marker=marker, color=colour, label=f"{name} ({split})")
    ax.set(
        xlabel="noise level σ",
        ylabel="PSNR of the two (dB)",
        title="The match needs noise (denoising, one network)",
    )
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure
