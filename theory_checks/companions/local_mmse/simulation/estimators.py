"""The best estimators on a finite training set, of three classes: all maps, equivariant maps, local equivariant maps.

From arXiv 2601.10334 (formulas of the authors' code, derived again here). Each streams the training set, so that memory
does not depend on its size. All tensors are float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from . import patches
from .posterior import Posterior, StreamedPosterior
from .problems import Problem


@dataclass(frozen=True, slots=True)
class ChunkSizes:
    """How much is in memory at once.

    Attributes:
        images: training images whose patches are extracted.
        queries, examples: rows and columns of the matrix of weights.
    """

    images: int
    queries: int
    examples: int


SIZES = {"cpu": ChunkSizes(16, 256, 1024), "cuda": ChunkSizes(256, 4096, 32768)}
"""Chunk sizes by type of device."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Estimates of B images.

    Attributes:
        x: images, ``(B, C, H, W)``.
        log_density: log-density of the patch of each pixel among the patches of its stratum, ``(B, H·W)``.
        source: the training image whose patch had the largest weight, ``(B, H·W)``, int64.
        weight: that weight, ``(B, H·W)``.
    """

    x: Tensor
    log_density: Tensor
    source: Tensor
    weight: Tensor


@dataclass(frozen=True, slots=True)
class Stratum:
    """Pixels whose patches of ``B y`` carry noise of the same covariance ``σ² S``.

    Attributes:
        pixels: pixel numbers.
        whiten: ``S^{−1/2}`` on the range of S, ``(rank, C·P·P)``, which whitens the noise.
        log_volume: log-determinant of ``whiten`` on that range.
    """

    pixels: Tensor
    whiten: Tensor
    log_volume: float


def mmse(y: Tensor, train: Tensor, problem: Problem, sigma: float, by: ChunkSizes | None = None) -> Tensor:
    """``Σ_i w_i x_i``, ``w = softmax(−|A x_i − y|²/2σ²)``, for y ``(B, C, H, W)``: the best of all maps."""
    return _whole(y, train, problem, sigma, by).mean.view(y.shape)


def equivariant(
    y: Tensor, train: Tensor, problem: Problem, sigma: float, by: ChunkSizes | None = None
) -> Tensor:
    """``Σ_{i,g} w_{ig} T_g x_i`` with ``w = softmax(−|A x_i − T_g⁻¹ y|²/2σ²)``: the best equivariant map of y.

    It is also the best equivariant map of ``B y`` if B is an invertible convolution, a mere change of coordinates.

    Args:
        y: ``(B, C, H, W)``.
    """
    H, W = y.shape[-2:]
    moves = [(down, right) for down in range(H) for right in range(W)]
    estimates = []
    for one in y:
        back = torch.stack([patches.shifted(one, -down, -right) for down, right in moves])
        by_move = _whole(back, train, problem, sigma, by)
        weights = by_move.log_density.softmax(0)
        means = (weights[:, None] * by_move.mean).view(back.shape)
        estimates.append(
            torch.stack([patches.shifted(m, *g) for m, g in zip(means, moves, strict=True)]).sum(0)
        )
    return torch.stack(estimates)


def local(
    y: Tensor, train: Tensor, problem: Problem, sigma: float, P: int, by: ChunkSizes | None = None
) -> Estimate:
    """LE-MMSE: the best map of ``B y`` whose pixels are one function of the P × P patch around them.

    ``f(v) = Σ x_i[n] N(v; Q_n A x_i, σ² Q_n Q_nᵀ) / Σ N(…)`` over all training images i and all pixels n, where Q_n
    extracts the patch around n from ``B y``. If ``Q_n`` is singular (B a mask), the sums are over the pixels of the
    same stratum.

    Args:
        y: ``(B, C, H, W)``, float64.
        P: odd, at most H and W.
    """
    sizes = by or SIZES[y.device.type]
    groups = strata(problem, y[:1], P)
    observed = patches.extract(problem.observe(y), P)
    streams = [
        StreamedPosterior(
            (observed[:, g.pixels] @ g.whiten.T).flatten(0, 1), sigma, sizes.queries, sizes.examples
        )
        for g in groups
    ]
    for x in image_chunks(train, sizes):
        clean, targets = patches.extract(problem.observe(problem.clean(x)), P), patches.centres(x)
        for g, stream in zip(groups, streams, strict=True):
            stream.add_examples(
                (clean[:, g.pixels] @ g.whiten.T).flatten(0, 1), targets[:, g.pixels].flatten(0, 1)
            )
    # Results are ordered by stratum; put them back into the order of the pixels.
    back = torch.cat([g.pixels for g in groups]).argsort()
    posteriors = [(g, stream.posterior()) for g, stream in zip(groups, streams, strict=True)]
    x = torch.cat([p.mean.view(len(y), len(g.pixels), -1) for g, p in posteriors], 1)[:, back]
    density = torch.cat([p.log_density.view(len(y), -1) + g.log_volume for g, p in posteriors], 1)[:, back]
    source = torch.cat([p.best.view(len(y), -1) // len(g.pixels) for g, p in posteriors], 1)[:, back]
    weight = torch.cat([p.weight.view(len(y), -1) for _, p in posteriors], 1)[:, back]
    return Estimate(patches.assemble(x, y.shape[-2]), density, source, weight)


def strata(problem: Problem, like: Tensor, P: int) -> list[Stratum]:
    """The pixels, grouped by the covariance of the noise in their patches.

    For a 0/1 mask, these are the groups of equal local patterns of the mask: with probability 1, a patch lies in the
    range of another pattern only if that has a larger rank. For B = I and an invertible convolution there is one group.

    Args:
        like: an image ``(1, C, H, W)``.
    """
    numbers, covariances = covariance(problem, like, P)
    groups: list[Stratum] = []
    while len(numbers):
        S = covariances[0]
        same = (covariances - S).abs().amax((1, 2)) <= 1e-9 * max(1.0, float(S.abs().max()))
        groups.append(Stratum(numbers[same], *whitening(S)))
        numbers, covariances = numbers[~same], covariances[~same]
    return groups


def covariance(problem: Problem, like: Tensor, P: int) -> tuple[Tensor, Tensor]:
    """Pixel numbers ``(H·W,)``, and ``Q_n Q_nᵀ`` of each, ``(H·W, C·P·P, C·P·P)``."""
    _, C, H, W = like.shape
    numbers = torch.arange(C * H * W, device=like.device)
    # Column j of B is its image of the unit impulse at pixel j.
    columns = problem.observe(
        torch.eye(C * H * W, dtype=like.dtype, device=like.device).view(-1, C, H, W)
    ).flatten(1)
    BBt = columns.T @ columns
    index = patches.extract(numbers.view(1, C, H, W).to(like.dtype), P)[0].long()
    return numbers[: H * W], BBt[index[:, :, None], index[:, None, :]]


def whitening(S: Tensor) -> tuple[Tensor, float]:
    """``S^{−1/2}`` on the range of S, one row for each non-zero eigenvalue, and its log-determinant there."""
    # Hundreds of small matrices: faster on the CPU.
    values, vectors = torch.linalg.eigh(S.cpu())
    good = values > 1e-12 * values[-1]
    return (vectors[:, good] / values[good].sqrt()).T.contiguous().to(S.device), float(
        -values[good].log().sum() / 2
    )


def image_chunks(train: Tensor, sizes: ChunkSizes) -> Iterator[Tensor]:
    """The training images, a few at a time."""
    yield from train.split(sizes.images)


def _whole(y: Tensor, train: Tensor, problem: Problem, sigma: float, by: ChunkSizes | None) -> Posterior:
    """The posterior given the whole image y."""
    sizes = by or SIZES[y.device.type]
    stream = StreamedPosterior(y.flatten(1), sigma, sizes.queries, sizes.examples)
    for x in image_chunks(train, sizes):
        stream.add_examples(problem.clean(x).flatten(1), x.flatten(1))
    return stream.posterior()
