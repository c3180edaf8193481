"""Sizes, seeds and parameter grids of the experiments on the inertial deep inverse prior."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Setting:
    """Parameters of all experiments; the defaults are the small setting, for a laptop.

    Attributes:
        device: device of all tensors; random numbers are drawn on the CPU, so that a seed is the same problem
            everywhere.
        seed: seed of the problem; the network uses the next one.
        sweep_k, sweep_n: width and number of measurements of the heat map.
        alphas, betas: damping grid of the heat map, in units of √µ and 1/√µ.
        far_alphas, far_betas: damping grid for the start far from the truth.
        horizon, sweep_step: last time and step of the heat map; the weakest damping must decay below 1e-8 by then.
        widths, width_seeds: widths, and seeds of each, for the laws in the width.
        certified_widths: widths for which certificates are computed.
        scheme_n, scheme_k, scheme_steps: measurements, width and iterations of the discrete algorithms.
        recovery_k: width for the recovery bound.
        crop: pixels a side of the photograph.
        shrink: pixels a side that are averaged into one.
        crop_noise: standard deviation of the noise, for grey values from 0 to 1.
        channels, layers: size of the decoder.
        iterations: iterations of each method on the photograph.
        crop_alphas, crop_betas: damping grid on the photograph, in units of √λ_max and 1/√λ_max.
        ritz: iterations of LOBPCG.
    """

    device: str = "cpu"
    seed: int = 0
    sweep_k: int = 4096
    sweep_n: int = 16
    alphas: tuple[float, ...] = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
    betas: tuple[float, ...] = (0.0, 0.5, 1.0)
    far_alphas: tuple[float, ...] = (1.0, 1.5, 2.0, 3.0)
    far_betas: tuple[float, ...] = (0.0, 0.5)
    horizon: float = 600.0
    sweep_step: float = 0.25
    widths: tuple[int, ...] = (256, 512, 1024, 2048, 4096, 8192, 16384)
    width_seeds: int = 3
    certified_widths: tuple[int, ...] = (512, 1024, 2048, 8192, 32768)
    scheme_n: int = 32
    scheme_k: int = 2048
    scheme_steps: int = 4000
    recovery_k: int = 2048
    crop: int = 32
    shrink: int = 6
    crop_noise: float = 0.05
    channels: int = 24
    layers: int = 5
    iterations: int = 300
    crop_alphas: tuple[float, ...] = (0.03, 0.1)
    crop_betas: tuple[float, ...] = (0.0, 0.5)
    ritz: int = 8


SMALL = Setting()
PAPER = Setting(
    device="cuda",
    sweep_k=65536,
    sweep_n=32,
    alphas=tuple(0.25 * i for i in range(1, 17)),
    betas=tuple(0.125 * i for i in range(9)),
    far_alphas=tuple(0.5 * i for i in range(1, 9)),
    far_betas=(0.0, 0.25, 0.5, 0.75, 1.0),
    horizon=1500.0,
    sweep_step=0.125,
    widths=tuple(256 * 2**i for i in range(9)),
    width_seeds=8,
    certified_widths=tuple(512 * 2**i for i in range(9)),
    scheme_k=8192,
    recovery_k=32768,
    crop=256,
    shrink=2,
    crop_noise=0.01,
    channels=48,
    layers=6,
    iterations=5000,
    ritz=40,
)
