"""PSNR and SSIM of reconstructed images, at the trained depth, at the equilibrium and past the depth."""

from __future__ import annotations

import math

from .metric import Column, Metric, Table, Tolerance
from .readers import image_array, psnr_at

RESULTS, DEPTH = Table.RESULTS, Table.DEPTH
DECIBELS, SSIM = Tolerance(absolute=0.05), Tolerance(absolute=0.005)


def _psnr(value: float) -> str:
    return "diverged" if value == -math.inf else f"{value:.2f}"


IMAGES = (
    Metric(
        "psnr",
        "Mean PSNR of the test images, reconstructed at the depth that was trained.",
        title="PSNR",
        unit="dB",
        format=".2f",
        columns={RESULTS: Column(1), DEPTH: Column(4, "PSNR as trained (dB)")},
        better="higher",
        paired=True,
        images="psnr_trained",
        tolerance=DECIBELS,
        aspect="quality",
        benchopt="psnr",
    ),
    Metric(
        "psnr_equilibrium",
        "Mean PSNR of the test images at the equilibrium of the learned operator; missing if no equilibrium was found, "
        "that is, where the residual is above ten times the tolerance of the profile.",
        title="PSNR at eq.",
        unit="dB",
        format=".2f",
        columns={RESULTS: Column(2), DEPTH: Column(7, "at eq.")},
        better="higher",
        paired=True,
        images="psnr_equilibrium",
        equilibrium="equilibrium_residual",
        tolerance=DECIBELS,
        aspect="quality",
        benchopt="psnr_equilibrium",
    ),
    Metric(
        "psnr_measurement", "Mean PSNR of the measurements themselves.", unit="dB", images="psnr_measurement"
    ),
    Metric(
        "ssim",
        "Mean SSIM of the test images at the trained depth.",
        title="SSIM",
        format=".3f",
        columns={RESULTS: Column(5, hidden=True)},
        better="higher",
        paired=True,
        images="ssim_trained",
        tolerance=SSIM,
        aspect="quality",
        benchopt="ssim",
    ),
    Metric(
        "ssim_equilibrium",
        "Mean SSIM of the test images at the equilibrium.",
        title="SSIM at eq.",
        format=".3f",
        columns={RESULTS: Column(6, hidden=True)},
        better="higher",
        paired=True,
        images="ssim_equilibrium",
        equilibrium="equilibrium_residual",
        tolerance=SSIM,
        aspect="quality",
        benchopt="ssim_equilibrium",
    ),
    Metric(
        "psnr_validation",
        "Mean PSNR of the validation images at the trained depth.",
        unit="dB",
        images="psnr_validation_trained",
    ),
    Metric(
        "psnr_validation_equilibrium",
        "Mean PSNR at the equilibrium of the validation images, which neither train nor test.",
        title="validation PSNR at eq.",
        unit="dB",
        format=".2f",
        columns={RESULTS: Column(4)},
        better="higher",
        paired=True,
        images="psnr_validation_equilibrium",
        equilibrium="validation_equilibrium_residual",
    ),
)
PAST_DEPTH = (
    Metric(
        "psnr_10",
        "Mean PSNR of the test images after 10 times as many iterations as were trained; minus infinity if diverged, "
        "missing if the profile leaves no time.",
        title="PSNR at 10 ×",
        unit="dB",
        format=_psnr,
        columns={DEPTH: Column(5, "at 10 ×")},
        better="higher",
        paired=True,
        read=psnr_at(10),
        tolerance=DECIBELS,
    ),
    Metric(
        "psnr_100",
        "Mean PSNR of the test images after 100 times as many iterations as were trained.",
        title="PSNR at 100 ×",
        unit="dB",
        format=_psnr,
        columns={DEPTH: Column(6, "at 100 ×")},
        better="higher",
        paired=True,
        read=psnr_at(100),
        tolerance=DECIBELS,
    ),
    Metric(
        "psnr_validation_images",
        "PSNR at the equilibrium of each validation image.",
        unit="dB",
        read=image_array("psnr_validation_equilibrium"),
    ),
)
