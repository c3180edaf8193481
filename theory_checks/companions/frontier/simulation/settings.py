"""Sizes, seeds and windows of the frontier's experiments, fixed beforehand."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .forward_pass import Computation
from .networks import Architecture

ALL = (Architecture.MLP, Architecture.STRUCTURED, Architecture.CONV)


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of hyperparameters."""

    sigma_w: tuple[float, float]
    sigma_b: tuple[float, float]

    def around(self, centre: tuple[float, float], zoom: float) -> Window:
        """A window ``zoom`` times smaller, with that middle."""
        half_w = (self.sigma_w[1] - self.sigma_w[0]) / zoom / 2
        half_b = (self.sigma_b[1] - self.sigma_b[0]) / zoom / 2
        w, b = centre
        return Window((w - half_w, w + half_w), (b - half_b, b + half_b))

    def __str__(self) -> str:
        (a, b), (c, d) = self.sigma_w, self.sigma_b
        return f"[{a:g}, {b:g}] × [{c:g}, {d:g}]"


@dataclass(frozen=True, slots=True)
class Ladder:
    """Windows to look at one after another, with the networks that are shown there."""

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
    """What the experiments are told.

    Attributes:
        device: of the products; random numbers are drawn on the CPU.
        chunk: columns of a product at once.
        threshold: τ on the squared distance over N, of every sign field.
        window, width, depths, seeds: of the dimensions; sensible cells a side are a multiple of 32.
        cells: of a side of a window.
        precise_cells: of a side, where precisions are compared.
        zoom_cells, zoom_factor, zoom_levels: of the ladder of 3.5.
        zoom_seeds, zoom_depths: networks of the ladder, of each depth.
        slope_widths: of 3.1, for each of ``ALL``; wide, for a layer of N units takes ``(3κ−1)/(2N)`` off a slope.
        narrow_slope, narrow_seeds: a width at which that is measured, for the MLP, and how often: with 8 seeds the
            mean slope has a standard error of .007.
        slope_depth, slope_seeds, fit_from: of 3.1.
        exponent_widths, exponent_layers: of 3.2, and layers drawn for each, all chains together.
        law_widths, law_units, law_layers: of 3.2, for layers drawn in law; units of all chains together.
        exponent_chains, exponent_burn: how these are split up, and layers thrown away at the start of each.
        other_width, other_layers: the same of the other two architectures, which are only reported.
        crossing_seeds, crossing_points: of 3.3.
        band_width, band_depths, band_seeds, band_points: of 3.8.
        backward_width, backward_depth, backward_seeds: of 3.9.
        ladders, shown_cells: of the figures of the landscape.
    """

    device: str
    chunk: int
    threshold: float
    window: Window
    width: int
    depths: tuple[int, int, int]
    seeds: tuple[int, ...]
    cells: int
    precise_cells: int
    zoom_cells: int
    zoom_factor: int
    zoom_levels: int
    zoom_seeds: tuple[int, ...]
    zoom_depths: tuple[int, ...]
    slope_widths: tuple[int, int, int]
    narrow_slope: int
    narrow_seeds: int
    slope_depth: int
    slope_seeds: int
    fit_from: int
    exponent_widths: tuple[int, ...]
    exponent_layers: tuple[int, ...]
    exponent_chains: int
    exponent_burn: int
    law_widths: tuple[int, ...]
    law_units: int
    law_layers: int
    other_width: int
    other_layers: int
    crossing_seeds: int
    crossing_points: int
    band_width: int
    band_depths: tuple[int, ...]
    band_seeds: int
    band_points: int
    backward_width: int
    backward_depth: int
    backward_seeds: int
    ladders: tuple[Ladder, ...]
    figure_cells: int

    @property
    def float32(self) -> Computation:
        """Products in float32, for landscapes."""
        return Computation(self.device, torch.float32, self.chunk)

    @property
    def float64(self) -> Computation:
        """Products in float64, for slopes and zooms."""
        return Computation(self.device, torch.float64, self.chunk)


SMALL = Setting(
    device="cpu",
    chunk=3840,
    threshold=1e-5,
    window=FRACTAL,
    width=30,
    depths=(100, 200, 400),
    seeds=(0, 1, 2),
    cells=192,
    precise_cells=96,
    zoom_cells=96,
    zoom_factor=8,
    zoom_levels=5,
    zoom_seeds=(0, 1, 2),
    zoom_depths=(100,),
    slope_widths=(768, 512, 256),
    narrow_slope=256,
    narrow_seeds=48,
    slope_depth=60,
    slope_seeds=8,
    fit_from=10,
    exponent_widths=(16, 32, 64, 128),
    exponent_layers=(6144, 12288, 20480, 24576),
    exponent_chains=32,
    exponent_burn=40,
    law_widths=(64, 256),
    law_units=16384,
    law_layers=800,
    other_width=100,
    other_layers=24576,
    crossing_seeds=24,
    crossing_points=97,
    band_width=100,
    band_depths=(10, 20, 40, 80, 160),
    band_seeds=6,
    band_points=448,
    backward_width=128,
    backward_depth=100,
    backward_seeds=8,
    ladders=(Ladder(Architecture.MLP, 30, 400, NARROW),),
    figure_cells=160,
)

PAPER = Setting(
    device="cuda",
    chunk=48 * 2048,
    threshold=1e-5,
    window=FRACTAL,
    width=30,
    depths=(100, 200, 400),
    seeds=(0, 1, 2),
    cells=992,
    precise_cells=480,
    zoom_cells=480,
    zoom_factor=8,
    zoom_levels=6,
    zoom_seeds=(0, 1, 2),
    zoom_depths=(100, 200, 400),
    slope_widths=(1024, 1024, 256),
    narrow_slope=256,
    narrow_seeds=256,
    slope_depth=60,
    slope_seeds=32,
    fit_from=10,
    exponent_widths=(16, 32, 64, 128, 256, 512),
    exponent_layers=(65536, 65536, 65536, 65536, 65536, 32768),
    exponent_chains=64,
    exponent_burn=40,
    law_widths=(64, 256, 1024),
    law_units=1 << 17,
    law_layers=2000,
    other_width=128,
    other_layers=32768,
    crossing_seeds=48,
    crossing_points=512,
    band_width=100,
    band_depths=(10, 20, 40, 80, 160),
    band_seeds=48,
    band_points=1024,
    backward_width=128,
    backward_depth=100,
    backward_seeds=64,
    ladders=tuple(
        Ladder(architecture, width, depth, windows)
        for architecture in ALL
        for width, windows in ((100, WIDE), (30, NARROW))
        for depth in (100, 1000)
    ),
    figure_cells=1000,
)
