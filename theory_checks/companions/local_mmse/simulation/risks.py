"""Squared errors of estimators and networks on the training distribution, with the same noise for all."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from . import estimators, evaluation, training
from .problems import Denoise, Problem, problem
from .settings import Setting


@cache
def draws(at: Setting) -> tuple[Problem, Tensor, Tensor]:
    """Denoising of every judged image ``at.pairs`` times, and once more each with the noise's sign changed.

    Returns:
        The problem, x and y, ``(2·pairs·N, C, H, W)``: first all images of the first draw, and so on.
    """
    train = _judged(at)
    half = evaluation.noise(torch.Size((at.pairs, *train.shape)), at.seed + 21, at.device)
    x = train.repeat(2 * at.pairs, 1, 1, 1)
    asked = problem(Denoise(), False, train)
    return asked, x, asked.measure(x, torch.cat([half, -half]).flatten(0, 1), at.sigma)


def _judged(at: Setting) -> Tensor:
    """Images of the training distribution: all of them, or some drawn at random."""
    train = evaluation.images(at).train
    if not at.judged:
        return train
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(at.seed + 20))
    return train[order[: at.judged].to(train.device)]


@cache
def local(at: Setting, P: int) -> Tensor:
    """LE-MMSE of every draw."""
    asked, _, y = draws(at)
    train = evaluation.images(at).train
    return torch.cat([estimators.local(part, train, asked, at.sigma, P).x for part in y.split(128)])


@cache
def mmse(at: Setting) -> Tensor:
    """MMSE of every draw."""
    asked, _, y = draws(at)
    return estimators.mmse(y, evaluation.images(at).train, asked, at.sigma)


@cache
def equivariant(at: Setting) -> Tensor:
    """Equivariant MMSE of every draw."""
    asked, _, y = draws(at)
    return estimators.equivariant(y, evaluation.images(at).train, asked, at.sigma)


@cache
def untrained(at: Setting) -> Tensor:
    """The first network of the setting before its training, of every draw."""
    asked, _, y = draws(at)
    case = at.cases[0]
    network = training.settled(training.fresh(case.architecture, case.P, asked, y[:1].float(), 0))
    return evaluation.applied(network, asked.see(y), at.sigma)


def by_image(at: Setting, a: Tensor, b: Tensor) -> Tensor:
    """Means over pixels and antithetic pairs of a product of errors ``(2·pairs·N, C, H, W)``: ``(pairs·N,)``."""
    return (a * b).flatten(1).mean(1).view(2, -1).mean(0)


def mean_and_error(values: Tensor) -> tuple[float, float]:
    """The mean and its standard error; images are strata, but their spread is counted, which is on the safe side."""
    return float(values.mean()), float(values.std() / len(values) ** 0.5)
