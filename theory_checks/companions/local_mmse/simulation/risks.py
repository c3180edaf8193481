"""Squared errors of estimators and networks on the training distribution, with the same noise for all."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from . import estimators, evaluation, training
from .problems import Denoise, Problem, problem
from .settings import Setting


@cache
def noisy_images(setting: Setting) -> tuple[Problem, Tensor, Tensor]:
    """Denoising of every judged image ``at.pairs`` times, and once more each with the noise's sign changed.

    Returns:
        The problem, x and y, ``(2·pairs·N, C, H, W)``: first all images of the first draw, and so on.
    """
    train = _risk_images(setting)
    half = evaluation.noise(torch.Size((setting.risk_pairs, *train.shape)), setting.seed + 21, setting.device)
    x = train.repeat(2 * setting.risk_pairs, 1, 1, 1)
    asked = problem(Denoise(), False, train)
    return asked, x, asked.measure(x, torch.cat([half, -half]).flatten(0, 1), setting.sigma)


def _risk_images(setting: Setting) -> Tensor:
    """Images of the training distribution: all of them, or some drawn at random."""
    train = evaluation.images(setting).train
    if not setting.risk_images:
        return train
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(setting.seed + 20))
    return train[order[: setting.risk_images].to(train.device)]


@cache
def local_estimates(setting: Setting, P: int) -> Tensor:
    """LE-MMSE of every draw."""
    asked, _, y = noisy_images(setting)
    train = evaluation.images(setting).train
    return torch.cat([estimators.local(part, train, asked, setting.sigma, P).x for part in y.split(128)])


@cache
def mmse_estimates(setting: Setting) -> Tensor:
    """MMSE of every draw."""
    asked, _, y = noisy_images(setting)
    return estimators.mmse(y, evaluation.images(setting).train, asked, setting.sigma)


@cache
def equivariant_estimates(setting: Setting) -> Tensor:
    """Equivariant MMSE of every draw."""
    asked, _, y = noisy_images(setting)
    return estimators.equivariant(y, evaluation.images(setting).train, asked, setting.sigma)


@cache
def untrained_estimates(setting: Setting) -> Tensor:
    """The first network of the setting before its training, of every draw."""
    asked, _, y = noisy_images(setting)
    case = setting.cases[0]
    network = training.evaluation_mode(
        training.untrained_network(case.architecture, case.P, asked, y[:1].float(), 0)
    )
    return evaluation.apply_network(network, asked.observe(y), setting.sigma)


def mean_product_by_image(setting: Setting, a: Tensor, b: Tensor) -> Tensor:
    """Means over pixels and antithetic pairs of a product of errors ``(2·pairs·N, C, H, W)``: ``(pairs·N,)``."""
    return (a * b).flatten(1).mean(1).view(2, -1).mean(0)


def mean_and_error(values: Tensor) -> tuple[float, float]:
    """The mean and its standard error; images are strata, but their spread is counted, which is on the safe side."""
    return float(values.mean()), float(values.std() / len(values) ** 0.5)
