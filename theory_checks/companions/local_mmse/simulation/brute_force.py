"""The estimators by their definitions, with dense matrices and explicit loops; shares no code with ``estimators``."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from .problems import Problem

Array = np.ndarray


def matrices(problem: Problem, like: Tensor) -> tuple[Array, Array]:
    """A and B as dense matrices, for single-channel images of the shape of ``like``, ``(1, 1, H, W)``."""
    size = like.numel()
    A, B = np.zeros((size, size)), np.zeros((size, size))
    for j in range(size):
        unit = like.new_zeros(size)
        unit[j] = 1
        A[:, j] = problem.clean(unit.view_as(like)).flatten().cpu().numpy()
        B[:, j] = problem.observe(unit.view_as(like)).flatten().cpu().numpy()
    return A, B


def patch_pixels(n: int, H: int, W: int, P: int) -> list[int]:
    """The pixel numbers of the P × P patch around pixel n of a torus, row by row."""
    row, column = divmod(n, W)
    offsets = range(-(P // 2), P // 2 + 1)
    return [(row + i) % H * W + (column + j) % W for i in offsets for j in offsets]


def dense_local(y: Tensor, train: Tensor, problem: Problem, sigma: float, P: int) -> tuple[Array, Array]:
    """LE-MMSE of one image, by the authors' rule for singular ``Q_n``: the least rank among the ranges that contain v.

    Args:
        y: ``(1, 1, H, W)``.
        train: ``(N, 1, H, W)``.

    Returns:
        The estimate and the log-density of each pixel's patch over the rank of its range, both ``(H·W,)``.
    """
    H, W = y.shape[-2:]
    A, B = matrices(problem, y)
    Q = [B[patch_pixels(n, H, W, P)] for n in range(H * W)]
    inverse = [np.linalg.pinv(q, rcond=1e-8) for q in Q]
    spectra = [np.linalg.svd(q, compute_uv=False) for q in Q]
    ranks = [int((s > 1e-8).sum()) for s in spectra]
    log_pdet = [float(np.log(s[s > 1e-8]).sum()) for s in spectra]
    measured, images = y.flatten().cpu().numpy(), train.flatten(1).cpu().numpy()
    clean = images @ A.T
    estimate, density = np.zeros(H * W), np.zeros(H * W)
    for n in range(H * W):
        v = Q[n] @ measured
        candidates = [
            m
            for m in range(H * W)
            if np.linalg.norm(v - Q[m] @ (inverse[m] @ v)) <= 1e-9 * (1 + np.linalg.norm(v))
        ]
        least = min(ranks[m] for m in candidates)
        exponents, values = [], []
        for m in (m for m in candidates if ranks[m] == least):
            for image, projected in zip(images, clean, strict=True):
                difference = inverse[m] @ (v - Q[m] @ projected)
                constant = log_pdet[m] + least / 2 * np.log(2 * np.pi * sigma**2)
                exponents.append(-difference @ difference / (2 * sigma**2) - constant)
                values.append(image[m])
        weights = np.exp(np.array(exponents) - max(exponents))
        estimate[n] = weights @ np.array(values) / weights.sum()
        density[n] = max(exponents) + np.log(weights.mean())
    return estimate, density


def dense_mmse(y: Tensor, train: Tensor, problem: Problem, sigma: float) -> Array:
    """MMSE of one image ``(1, 1, H, W)``, ``(H·W,)``."""
    A, _ = matrices(problem, y)
    images, measured = train.flatten(1).cpu().numpy(), y.flatten().cpu().numpy()
    exponents = np.array([-np.sum((A @ image - measured) ** 2) / (2 * sigma**2) for image in images])
    weights = np.exp(exponents - exponents.max())
    return weights @ images / weights.sum()


def dense_equivariant(y: Tensor, train: Tensor, problem: Problem, sigma: float) -> Array:
    """Equivariant MMSE of one image ``(1, 1, H, W)`` and B = I, ``(H·W,)``."""
    H, W = y.shape[-2:]
    A, _ = matrices(problem, y)
    measured = y[0, 0].cpu().numpy()
    exponents, values = [], []
    for down in range(H):
        for right in range(W):
            back = np.array([[measured[(r + down) % H, (c + right) % W] for c in range(W)] for r in range(H)])
            for image in train[:, 0].cpu().numpy():
                exponents.append(-np.sum((A @ image.ravel() - back.ravel()) ** 2) / (2 * sigma**2))
                moved = [[image[(r - down) % H, (c - right) % W] for c in range(W)] for r in range(H)]
                values.append(np.array(moved).ravel())
    weights = np.exp(np.array(exponents) - max(exponents))
    return weights @ np.array(values) / weights.sum()
