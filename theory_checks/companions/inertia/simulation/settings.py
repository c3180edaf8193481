"""Sizes, seeds and windows of the experiments on the inertial deep inverse prior."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Setting:
    """What an experiment is told.

    Attributes:
        device: of tensors; random numbers are drawn on the CPU.
        seed: of the problem; the next one is the network's.
        sweep_k, sweep_n: width and measurements of the heat map.
        alphas, betas: its grid, in units of √µ and 1/√µ.
        far_alphas, far_betas: the grid for the start far from the truth.
        horizon, sweep_step: of the heat map, in units of time; the weakest damping must cross the window of fits.
        widths, width_seeds: of the laws in the width.
        certified_widths: of the certificate.
        scheme_n, scheme_k, scheme_steps: of the discrete algorithms.
        recovery_k: width, for recovery.
        crop: pixels a side of the photograph.
        shrink: pixels of the photograph that are averaged into one, a side.
        crop_noise: standard deviation, for grey values from 0 to 1.
        channels, layers: of the decoder.
        iterations: of each method on the photograph.
        crop_alphas, crop_betas: in units of √λ_max and 1/√λ_max.
        ritz: iterations of LOBPCG.
    """

    device: str
    seed: int
    sweep_k: int
    sweep_n: int
    alphas: tuple[float, ...]
    betas: tuple[float, ...]
    far_alphas: tuple[float, ...]
    far_betas: tuple[float, ...]
    horizon: float
    sweep_step: float
    widths: tuple[int, ...]
    width_seeds: int
    certified_widths: tuple[int, ...]
    scheme_n: int
    scheme_k: int
    scheme_steps: int
    recovery_k: int
    crop: int
    shrink: int
    crop_noise: float
    channels: int
    layers: int
    iterations: int
    crop_alphas: tuple[float, ...]
    crop_betas: tuple[float, ...]
    ritz: int


SMALL = Setting(
    device="cpu",
    seed=0,
    sweep_k=4096,
    sweep_n=16,
    alphas=(0.5, 1.0, 1.5, 2.0, 2.5, 3.0),
    betas=(0.0, 0.5, 1.0),
    far_alphas=(1.0, 1.5, 2.0, 3.0),
    far_betas=(0.0, 0.5),
    horizon=600.0,
    sweep_step=0.25,
    widths=(256, 512, 1024, 2048, 4096, 8192, 16384),
    width_seeds=3,
    certified_widths=(512, 1024, 2048, 8192, 32768),
    scheme_n=32,
    scheme_k=2048,
    scheme_steps=4000,
    recovery_k=2048,
    crop=32,
    shrink=6,
    crop_noise=0.05,
    channels=24,
    layers=5,
    iterations=300,
    crop_alphas=(0.03, 0.1),
    crop_betas=(0.0, 0.5),
    ritz=8,
)

PAPER = Setting(
    device="cuda",
    seed=0,
    sweep_k=65536,
    sweep_n=32,
    alphas=tuple(0.25 * i for i in range(1, 17)),
    betas=tuple(0.125 * i for i in range(9)),
    far_alphas=tuple(0.5 * i for i in range(1, 9)),
    far_betas=(0.0, 0.25, 0.5, 0.75, 1.0),
    horizon=1500.0,
    sweep_step=0.125,
    widths=(256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536),
    width_seeds=8,
    certified_widths=(512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072),
    scheme_n=32,
    scheme_k=8192,
    scheme_steps=4000,
    recovery_k=32768,
    crop=256,
    shrink=2,
    crop_noise=0.01,
    channels=48,
    layers=6,
    iterations=5000,
    crop_alphas=(0.03, 0.1),
    crop_betas=(0.0, 0.5),
    ritz=40,
)
