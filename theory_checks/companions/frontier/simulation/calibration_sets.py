"""Sets of known dimension, on which the estimator is calibrated."""

from __future__ import annotations

import numpy as np


def half_plane(nodes: int, slope: float) -> np.ndarray:
    """Signs on the two sides of a line through the centre, ``(nodes, nodes)``; the line has dimension 1."""
    y, x = np.mgrid[0:nodes, 0:nodes] - (nodes - 1) / 2
    return y > slope * x + 0.25


def disc(nodes: int, radius: float) -> np.ndarray:
    """Signs inside and outside a circle, whose radius is in units of the window; the circle has dimension 1."""
    y, x = np.mgrid[0:nodes, 0:nodes] - (nodes - 1) / 2
    return np.hypot(x, y) < radius * nodes


def carpet(level: int) -> np.ndarray:
    """Sierpiński's carpet as cells, ``(3^level, 3^level)``; dimension ln 8/ln 3 = 1.893."""
    cells = np.ones((1, 1), bool)
    stencil = np.ones((3, 3), bool)
    stencil[1, 1] = False
    for _ in range(level):
        cells = np.kron(cells, stencil)
    return cells


def fractional_brownian(nodes: int, hurst: float, seed: int) -> np.ndarray:
    """A rough surface whose level sets have dimension 2 − hurst; ``(nodes, nodes)``, median 0, variance 1.

    Spectral synthesis with amplitudes ``|f|^{−(hurst+1)}``, on twice the window so that its period is not seen, and on
    a grid three times finer of which every third node is kept: a surface cut off at the frequency of the nodes would
    be smoother than a sampled one, and its dimension lower (1.59 for 1.65 at hurst = .2).
    """
    whole = 2 * 3 * nodes
    random_signs = np.random.default_rng(seed).standard_normal((whole, whole))
    frequency = np.hypot(np.fft.fftfreq(whole)[:, None], np.fft.rfftfreq(whole)[None])
    frequency[0, 0] = np.inf
    surface = np.fft.irfft2(np.fft.rfft2(random_signs) * frequency ** -(hurst + 1), s=(whole, whole))
    window = surface[: 3 * nodes : 3, : 3 * nodes : 3]
    return (window - np.median(window)) / window.std()


def random_signs(nodes: int, seed: int, rare: float = 0.5) -> np.ndarray:
    """Independent signs, positive with probability ``rare``; dimension 2."""
    return np.random.default_rng(seed).random((nodes, nodes)) < rare
