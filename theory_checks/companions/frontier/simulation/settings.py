"""Sizes, seeds and windows of the experiments on the frontier, fixed before the first run."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .forward_pass import Computation
from .networks import Architecture

ALL = (Architecture.MLP, Architecture.STRUCTURED, Architecture.CONV)


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle in the plane of the hyperparameters σ_w and σ_b."""

    sigma_w: tuple[float, float]
    sigma_b: tuple[float, float]

    def around(self, centre: tuple[float, float], zoom: float) -> Window:
        """The window ``zoom`` times smaller, centred at ``centre`` = (σ_w, σ_b)."""
        half_w = (self.sigma_w[1] - self.sigma_w[0]) / zoom / 2
        half_b = (self.sigma_b[1] - self.sigma_b[0]) / zoom / 2
        w, b = centre
        return Window((w - half_w, w + half_w), (b - half_b, b + half_b))

    def __str__(self) -> str:
        (a, b), (c, d) = self.sigma_w, self.sigma_b
        return f"[{a:g}, {b:g}] × [{c:g}, {d:g}]"


@dataclass(frozen=True, slots=True)
class Ladder:
    """A sequence of windows, each inside the one before, and the network whose landscape is drawn in them."""

    architecture: Architecture
    width: int
    depth: int
    windows: tuple[Window, ...]


PLANE = Window((0.0, 4.0), (0.0, 4.0))
FRACTAL = Window((1.7, 2.1), (0.9, 1.3))
NARROW = (PLANE, Window((1.75, 2.05), (1.0, 1.3)), Window((1.87, 1.97), (1.1, 1.2)))
"""The authors' windows for N = 30."""
WIDE = (PLANE, Window((2.15, 2.25), (2.0, 2.1)), Window((2.168, 2.193), (2.0375, 2.0625)))
"""The authors' windows for N = 100."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Parameters of all experiments; the defaults are the small setting, for a laptop.

    Attributes:
        device: device of the matrix products; random numbers are drawn on the CPU.
        chunk: points (columns) of one matrix product.
        threshold: τ, the squared distance over N above which two inputs count as told apart.
        window, width, depths, seeds: window, networks and depths of the dimensions.
        cells: cells a side of that window; a multiple of 32, the largest box.
        precise_cells: cells a side where float32 and float64 are compared.
        zoom_cells, zoom_factor, zoom_levels: cells a side, factor and number of the zooms of 3.5.
        zoom_seeds, zoom_depths: seeds of the zoomed networks at each depth.
        slope_widths: widths of 3.1, one for each of ``ALL``; large, since N units take ``(3κ−1)/(2N)`` off a slope.
        narrow_slope, narrow_seeds: width and number of seeds at which that correction is measured, for the MLP; with
            8 seeds the standard error of the mean slope would be .007.
        slope_depth, slope_seeds, fit_from: layers, seeds, and first fitted layer of 3.1.
        exponent_widths, exponent_layers: widths of 3.2, and layers drawn for each, all chains together.
        exponent_chains, exponent_burn: number of chains, and layers discarded at the start of each.
        law_widths, law_units, law_layers: widths, units of all chains, and layers, where layers are drawn in law (3.2).
        other_width, other_layers: width and layers for the other two architectures, which are only reported.
        crossing_seeds, crossing_points: networks, and points along σ_w, of 3.3.
        band_width, band_depths, band_seeds, band_points: width, depths, networks and points along σ_w of 3.8.
        backward_width, backward_depth, backward_seeds: width, depth and networks of 3.9.
        ladders, figure_cells: windows of the landscape figures, and their cells a side.
    """

    device: str = "cpu"
    chunk: int = 3840
    threshold: float = 1e-5
    window: Window = FRACTAL
    width: int = 30
    depths: tuple[int, int, int] = (100, 200, 400)
    seeds: tuple[int, ...] = (0, 1, 2)
    cells: int = 192
    precise_cells: int = 96
    zoom_cells: int = 96
    zoom_factor: int = 8
    zoom_levels: int = 5
    zoom_seeds: tuple[int, ...] = (0, 1, 2)
    zoom_depths: tuple[int, ...] = (100,)
    slope_widths: tuple[int, int, int] = (768, 512, 256)
    narrow_slope: int = 256
    narrow_seeds: int = 48
    slope_depth: int = 60
    slope_seeds: int = 8
    fit_from: int = 10
    exponent_widths: tuple[int, ...] = (16, 32, 64, 128)
    exponent_layers: tuple[int, ...] = (6144, 12288, 20480, 24576)
    exponent_chains: int = 32
    exponent_burn: int = 40
    law_widths: tuple[int, ...] = (64, 256)
    law_units: int = 16384
    law_layers: int = 800
    other_width: int = 100
    other_layers: int = 24576
    crossing_seeds: int = 24
    crossing_points: int = 97
    band_width: int = 100
    band_depths: tuple[int, ...] = (10, 20, 40, 80, 160)
    band_seeds: int = 6
    band_points: int = 448
    backward_width: int = 128
    backward_depth: int = 100
    backward_seeds: int = 8
    ladders: tuple[Ladder, ...] = (Ladder(Architecture.MLP, 30, 400, NARROW),)
    figure_cells: int = 160

    @property
    def float32(self) -> Computation:
        """Products in float32, for landscapes."""
        return Computation(self.device, torch.float32, self.chunk)

    @property
    def float64(self) -> Computation:
        """Products in float64, for slopes and zooms."""
        return Computation(self.device, torch.float64, self.chunk)


SMALL = Setting()
PAPER = Setting(
    device="cuda",
    chunk=48 * 2048,
    cells=992,
    precise_cells=480,
    zoom_cells=480,
    zoom_levels=6,
    zoom_depths=(100, 200, 400),
    slope_widths=(1024, 1024, 256),
    narrow_seeds=256,
    slope_seeds=32,
    exponent_widths=(16, 32, 64, 128, 256, 512),
    exponent_layers=(*5 * (65536,), 32768),
    exponent_chains=64,
    law_widths=(64, 256, 1024),
    law_units=1 << 17,
    law_layers=2000,
    other_width=128,
    other_layers=32768,
    crossing_seeds=48,
    crossing_points=512,
    band_seeds=48,
    band_points=1024,
    backward_seeds=64,
    ladders=tuple(
        Ladder(architecture, width, depth, windows)
        for architecture in ALL
        for width, windows in ((100, WIDE), (30, NARROW))
        for depth in (100, 1000)
    ),
    figure_cells=1000,
)
