"""Wrong implementations of LE-MMSE, each of which a claim must catch: those of the specification, then further ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from deepinv.loss.metric import PSNR
from torch import Tensor, nn
from torch.nn import functional

from ...engine import Mutant, mutant
from .simulation import estimators, patches, posterior, psnr, training
from .simulation.estimators import ChunkSizes, Estimate, Stratum
from .simulation.networks import Architecture, LocalNetwork
from .simulation.posterior import PartialSums, StreamedPosterior
from .simulation.problems import Problem
from .simulation.training import Recipe

LOCAL, STRATA, WHITENING = estimators.local, estimators.strata, estimators.whitening
EXPONENTS = posterior.exponents
EXTRACT = patches.extract
CENTRES = patches.centres
CHUNKS = estimators.image_chunks


def _level(factor: float) -> Callable[..., StreamedPosterior]:
    def make(queries: Tensor, sigma: float, several: int, many: int) -> StreamedPosterior:
        return StreamedPosterior(queries, factor * sigma, several, many)

    return make


def _sharper(factor: float) -> Callable[[Tensor, Tensor, float], Tensor]:
    return lambda queries, examples, sigma: factor * EXPONENTS(queries, examples, sigma)


def _smaller_patch(
    y: Tensor, train: Tensor, problem: Problem, sigma: float, P: int, by: ChunkSizes | None = None
) -> Estimate:
    return LOCAL(y, train, problem, sigma, max(1, P - 2), by)


def _padded(mode: str) -> Callable[[Tensor, int], Tensor]:
    return lambda images, radius: functional.pad(images, (radius,) * 4, mode=mode)


def _without_mean(images: Tensor, P: int) -> Tensor:
    extracted = EXTRACT(images, P)
    return extracted - extracted.mean(2, keepdim=True)


def _one_lost(train: Tensor, sizes: ChunkSizes) -> Iterator[Tensor]:
    return CHUNKS(train[:-1], sizes)


def _by_position(problem: Problem, like: Tensor, P: int) -> list[Stratum]:
    """One stratum for each pixel, so that there is no sum over positions."""
    return [
        replace(group, pixels=pixel) for group in STRATA(problem, like, P) for pixel in group.pixels.split(1)
    ]


def _one_stratum(problem: Problem, like: Tensor, P: int) -> list[Stratum]:
    eye = torch.eye(like.shape[1] * P * P, dtype=like.dtype, device=like.device)
    return [Stratum(torch.arange(like[0, 0].numel(), device=like.device), eye, 0.0)]


def _not_whitened(S: Tensor) -> tuple[Tensor, float]:
    rows, _ = WHITENING(S)
    return functional.normalize(rows, dim=1), 0.0


def _without_volume(S: Tensor) -> tuple[Tensor, float]:
    return WHITENING(S)[0], 0.0


def _not_rescaled(before: PartialSums, top: Tensor) -> PartialSums:
    return replace(before, top=top)


def _noise_where_seen(self: Problem, x: Tensor, noise: Tensor, sigma: float) -> Tensor:
    return self.clean(x) + sigma * noise * (self.clean(torch.ones_like(x)) != 0)


def _half(queries: Tensor, examples: Tensor, sigma: float) -> Tensor:
    return EXPONENTS(queries.half(), examples.half(), sigma).to(queries.dtype)


def _training_mode(network: LocalNetwork) -> nn.Module:
    return network.train().requires_grad_(False)


def _untrained(
    architecture: Architecture,
    P: int,
    problem: Problem,
    images: Tensor,
    sigmas: tuple[float, ...],
    recipe: Recipe,
) -> LocalNetwork:
    return training.evaluation_mode(
        training.untrained_network(architecture, P, problem, images.float(), recipe.seed)
    )


def _not_shifted_back(y: Tensor, train: Tensor, problem: Problem, sigma: float, by: Any = None) -> Tensor:
    H, W = y.shape[-2:]
    moves = [(down, right) for down in range(H) for right in range(W)]
    back = torch.cat([patches.shifted(y, -down, -right) for down, right in moves])
    return estimators.mmse(back, train, problem, sigma).mean(0, keepdim=True)


def _all_at_once(train: Tensor, sizes: ChunkSizes) -> Iterator[Tensor]:
    yield train


MUTANTS: tuple[Mutant, ...] = (
    mutant("σ · 0.9", estimators, "StreamedPosterior", _level(0.9), "2.3", "2.4"),
    mutant("σ · 1.05", estimators, "StreamedPosterior", _level(1.05), "2.3", "2.4"),
    mutant("no 2 in 2σ²", posterior, "exponents", _sharper(2), "2.3", "2.4"),
    mutant("patches smaller by a ring", estimators, "local", _smaller_patch, "2.1", "2.4"),
    mutant(
        "the centre is a pixel off",
        patches,
        "centres",
        lambda images: CENTRES(images.roll(1, -1)),
        "2.3",
        "2.4",
    ),
    mutant("patches and networks padded with zeros", patches, "wrap", _padded("constant"), "2.1"),
    mutant("patches and networks padded by reflection", patches, "wrap", _padded("reflect"), "2.1"),
    mutant("patches without their mean", patches, "extract", _without_mean, "2.3", "2.4"),
    mutant("the nearest patch alone", posterior, "exponents", _sharper(1e6), "2.3", "2.4"),
    mutant("one training image is left out", estimators, "image_chunks", _one_lost, "2.3"),
    mutant("weights over images only, at the pixel's own place", estimators, "strata", _by_position, "2.1"),
    mutant("a maximum a chunk, sums not rescaled", posterior, "rescaled", _not_rescaled, "2.1"),
    mutant("noise on observed pixels only", Problem, "measure", _noise_where_seen, "2.3", "2.4"),
    mutant("strata that ignore the mask", estimators, "strata", _one_stratum, "2.3"),
    mutant("S forgotten: Euclidean distances of B y", estimators, "whitening", _not_whitened, "2.3", "2.4"),
    mutant("networks evaluated in training mode", training, "evaluation_mode", _training_mode, "2.1"),
    mutant("PSNR of another peak", psnr, "METRIC", PSNR(max_pixel=2), "2.1"),
    mutant("distances in half precision", posterior, "exponents", _half, "2.3"),
    # Our own.
    mutant("densities without the determinant of S", estimators, "whitening", _without_volume, "2.3"),
    mutant("E-MMSE that does not shift back", estimators, "equivariant", _not_shifted_back, "2.3"),
    mutant("all training images in memory at once", estimators, "image_chunks", _all_at_once, "2.1"),
    mutant("networks that were never trained", training, "train", _untrained, "2.6"),
)
