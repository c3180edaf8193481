"""The best estimators of three classes, on a finite training set: all maps, equivariant ones, local equivariant ones.

From arXiv 2601.10334 (formulas from the authors' code, derived again here). Each streams the training set: memory
does not depend on its size. Everything in float64.
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
    """What is in memory at once.

    Attributes:
        images: training images that are turned into patches.
        queries, examples: whose weights there are.
    """

    images: int
    queries: int
    examples: int


SIZES = {"cpu": ChunkSizes(16, 256, 1024), "cuda": ChunkSizes(256, 4096, 32768)}
"""By kind of device."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of B images.

    Attributes:
        x: ``(B, C, H, W)``.
        log_density: of what each pixel saw, ``(B, H·W)``, among the pixels of its stratum.
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
        pixels: their numbers.
        whiten: ``S^{−1/2}`` on the range of S, ``(rank, C·P·P)``: it makes the noise white.
        log_volume: the logarithm of its determinant there.
    """

    pixels: Tensor
    whiten: Tensor
    log_volume: float


def mmse(y: Tensor, train: Tensor, problem: Problem, sigma: float, by: ChunkSizes | None = None) -> Tensor:
    """``Σ_i w_i x_i`` with ``w = softmax(−|A x_i − y|²/2σ²)``: the best of all maps. ``y`` is ``(B, C, H, W)``."""
    return _whole(y, train, problem, sigma, by).mean.view(y.shape)


def equivariant(
    y: Tensor, train: Tensor, problem: Problem, sigma: float, by: ChunkSizes | None = None
) -> Tensor:
    """``Σ_{i,g} w_{ig} T_g x_i`` with ``w = softmax(−|A x_i − T_g⁻¹ y|²/2σ²)``: the best equivariant map of y.

    Also of ``B y`` where B is an invertible convolution, which is but a change of coordinates.

    Args:
        y: ``(B, C, H, W)``.
    """
    H, W = y.shape[-2:]
    moves = [(down, right) for down in range(H) for right in range(W)]
    found = []
    for one in y:
        back = torch.stack([patches.shifted(one, -down, -right) for down, right in moves])
        by_move = _whole(back, train, problem, sigma, by)
        weights = by_move.log_density.softmax(0)
        means = (weights[:, None] * by_move.mean).view(back.shape)
        found.append(torch.stack([patches.shifted(m, *g) for m, g in zip(means, moves, strict=True)]).sum(0))
    return torch.stack(found)


def local(
    y: Tensor, train: Tensor, problem: Problem, sigma: float, P: int, by: ChunkSizes | None = None
) -> Estimate:
    """LE-MMSE: the best map of ``B y`` whose every pixel sees the P × P patch around it, by one rule for all pixels.

    ``f(v) = Σ x_i[n] N(v; Q_n A x_i, σ² Q_n Q_nᵀ) / Σ N(…)`` over all training images i and all pixels n, where Q_n
    cuts the patch around n out of ``B y``. Where ``Q_n`` is singular (B a mask), only pixels of the same stratum
    count.

    Args:
        y: ``(B, C, H, W)``, float64.
        P: odd, at most H and W.
    """
    sizes = by or SIZES[y.device.type]
    groups = strata(problem, y[:1], P)
    seen = patches.extract(problem.observe(y), P)
    streams = [
        StreamedPosterior(
            (seen[:, g.pixels] @ g.whiten.T).flatten(0, 1), sigma, sizes.queries, sizes.examples
        )
        for g in groups
    ]
    for x in image_chunks(train, sizes):
        clean, targets = patches.extract(problem.observe(problem.clean(x)), P), patches.centres(x)
        for g, stream in zip(groups, streams, strict=True):
            stream.add_examples(
                (clean[:, g.pixels] @ g.whiten.T).flatten(0, 1), targets[:, g.pixels].flatten(0, 1)
            )
    # Strata come in their own order; pixels must not.
    back = torch.cat([g.pixels for g in groups]).argsort()
    found = [(g, stream.posterior()) for g, stream in zip(groups, streams, strict=True)]
    x = torch.cat([p.mean.view(len(y), len(g.pixels), -1) for g, p in found], 1)[:, back]
    density = torch.cat([p.log_density.view(len(y), -1) + g.log_volume for g, p in found], 1)[:, back]
    source = torch.cat([p.best.view(len(y), -1) // len(g.pixels) for g, p in found], 1)[:, back]
    weight = torch.cat([p.weight.view(len(y), -1) for _, p in found], 1)[:, back]
    return Estimate(patches.assemble(x, y.shape[-2]), density, source, weight)


def strata(problem: Problem, like: Tensor, P: int) -> list[Stratum]:
    """The pixels by the covariance of the noise in their patches.

    For a 0/1 mask that is by the local pattern of the mask; a patch of one pattern lies in the range of another with
    probability 0 unless they are the same, or the rank is larger. For B = I and an invertible convolution it is one
    stratum.

    Args:
        like: an image ``(1, C, H, W)``.
    """
    numbers, covariances = covariance(problem, like, P)
    found: list[Stratum] = []
    while len(numbers):
        S = covariances[0]
        same = (covariances - S).abs().amax((1, 2)) <= 1e-9 * max(1.0, float(S.abs().max()))
        found.append(Stratum(numbers[same], *whitening(S)))
        numbers, covariances = numbers[~same], covariances[~same]
    return found


def covariance(problem: Problem, like: Tensor, P: int) -> tuple[Tensor, Tensor]:
    """The numbers of the pixels, and for each ``Q_n Q_nᵀ``, ``(H·W, C·P·P, C·P·P)``."""
    _, C, H, W = like.shape
    numbers = torch.arange(C * H * W, device=like.device)
    # Column j of B is what it makes of pixel j alone.
    columns = problem.observe(
        torch.eye(C * H * W, dtype=like.dtype, device=like.device).view(-1, C, H, W)
    ).flatten(1)
    BBt = columns.T @ columns
    index = patches.extract(numbers.view(1, C, H, W).to(like.dtype), P)[0].long()
    return numbers[: H * W], BBt[index[:, :, None], index[:, None, :]]


def whitening(S: Tensor) -> tuple[Tensor, float]:
    """``S^{−1/2}`` on the range of S, a row a non-zero eigenvalue, and the logarithm of its determinant there."""
    # Small, and there may be hundreds: not worth a GPU.
    values, vectors = torch.linalg.eigh(S.cpu())
    good = values > 1e-12 * values[-1]
    return (vectors[:, good] / values[good].sqrt()).T.contiguous().to(S.device), float(
        -values[good].log().sum() / 2
    )


def image_chunks(train: Tensor, sizes: ChunkSizes) -> Iterator[Tensor]:
    """The training images, a few at a time."""
    yield from train.split(sizes.images)


def _whole(y: Tensor, train: Tensor, problem: Problem, sigma: float, by: ChunkSizes | None) -> Posterior:
    """The posterior given whole measurements."""
    sizes = by or SIZES[y.device.type]
    stream = StreamedPosterior(y.flatten(1), sigma, sizes.queries, sizes.examples)
    for x in image_chunks(train, sizes):
        stream.add_examples(problem.clean(x).flatten(1), x.flatten(1))
    return stream.posterior()
