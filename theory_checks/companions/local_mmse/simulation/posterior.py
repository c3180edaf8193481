"""The posterior mean given noisy vectors, over examples that are streamed, without storing their weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Posterior:
    """The posterior given Q queries, for the uniform law on K examples and white noise.

    Attributes:
        mean: posterior mean of the targets, ``(Q, C)``.
        log_density: log-density of the query, ``log (1/K) Σ_k N(q; p_k, σ² I)``, ``(Q,)``.
        best: the example with the largest weight, ``(Q,)``, int64.
        weight: of that example, ``(Q,)``.
    """

    mean: Tensor
    log_density: Tensor
    best: Tensor
    weight: Tensor


@dataclass(frozen=True, slots=True)
class PartialSums:
    """Sums over the examples so far, scaled by the largest exponent so far, so that ``exp`` cannot underflow.

    Attributes:
        top: the largest exponent, ``(Q,)``.
        mass, weighted: sums of weights ``(Q,)`` and of weighted targets ``(Q, C)``, both times ``exp(−top)``.
        best: the example that had it.
    """

    top: Tensor
    mass: Tensor
    weighted: Tensor
    best: Tensor


def exponents(queries: Tensor, examples: Tensor, sigma: float) -> Tensor:
    """``−|q − p|²/2σ²`` without the term ``−|q|²/2σ²``, which cancels in the weights; ``(Q, K)``.

    Needs float64: at small σ the two remaining terms nearly cancel.
    """
    precise = queries / sigma**2
    return torch.addmm(examples.square().sum(1) / (-2 * sigma**2), precise, examples.T)


def rescaled(before: PartialSums, top: Tensor) -> PartialSums:
    """The same sums, scaled by a larger exponent."""
    shrink = (before.top - top).exp()
    return PartialSums(top, before.mass * shrink, before.weighted * shrink[:, None], before.best)


def with_examples(before: PartialSums, logits: Tensor, targets: Tensor, first: int) -> PartialSums:
    """The sums with further examples, numbered from ``first``."""
    best, index = logits.max(1)
    sums = rescaled(before, torch.maximum(before.top, best))
    weights = (logits - sums.top[:, None]).exp_()
    return PartialSums(
        sums.top,
        sums.mass + weights.sum(1),
        sums.weighted + weights @ targets,
        torch.where(best > before.top, index + first, before.best),
    )


class StreamedPosterior:
    """The posterior given each query, of examples that are added in chunks.

    Args:
        queries: ``(Q, d)``, float64.
        sigma: standard deviation of the noise in each of the d coordinates, positive.
        several, many: rows (queries) and columns (examples) of the matrix of weights in memory.
    """

    def __init__(self, queries: Tensor, sigma: float, several: int, many: int) -> None:
        self.queries, self.sigma, self.many = queries, sigma, many
        self.parts = queries.split(several)
        self.sums: list[PartialSums] = []
        self.count = 0

    def add_examples(self, examples: Tensor, values: Tensor) -> None:
        """Add examples ``(k, d)`` with their targets ``(k, C)``."""
        for points, targets in zip(examples.split(self.many), values.split(self.many), strict=True):
            before = self.sums or [_nothing(part, targets) for part in self.parts]
            self.sums = [
                with_examples(sums, exponents(part, points, self.sigma), targets, self.count)
                for sums, part in zip(before, self.parts, strict=True)
            ]
            self.count += len(points)

    def posterior(self) -> Posterior:
        """The posterior of all examples so far.

        Raises:
            ValueError: if there are none.
        """
        if not self.sums:
            raise ValueError("no examples")
        top, mass, best = (torch.cat([getattr(s, of) for s in self.sums]) for of in ("top", "mass", "best"))
        mean = torch.cat([s.weighted for s in self.sums]) / mass[:, None]
        constant = self.queries.shape[1] / 2 * math.log(2 * math.pi * self.sigma**2) + math.log(self.count)
        distance = self.queries.square().sum(1) / (2 * self.sigma**2)
        return Posterior(mean, top + mass.log() - distance - constant, best, 1 / mass)


def _nothing(queries: Tensor, targets: Tensor) -> PartialSums:
    Q = len(queries)
    return PartialSums(
        queries.new_full((Q,), -math.inf),
        queries.new_zeros(Q),
        queries.new_zeros(Q, targets.shape[1]),
        torch.zeros(Q, dtype=torch.int64, device=queries.device),
    )
