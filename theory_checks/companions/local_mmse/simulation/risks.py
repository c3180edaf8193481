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
    """Denoising of every image with ``risk_pairs`` draws of noise, each once more with the opposite sign.

    Returns:
        The problem, x and y, ``(2·pairs·N, C, H, W)``: first all images of the first draw, and so on.
    """
    train = _risk_images(setting)
    half = evaluation.noise(torch.Size((setting.risk_pairs, *train.shape)), setting.seed + 21, setting.device)
    x = train.repeat(2 * setting.risk_pairs, 1, 1, 1)
    task = problem(Denoise(), False, train)
    return task, x, task.measure(x, torch.cat([half, -half]).flatten(0, 1), setting.sigma)


def _risk_images(setting: Setting) -> Tensor:
    """Training images for the risks: all of them, or ``risk_images`` drawn at random."""
    train = evaluation.images(setting).train
    if not setting.risk_images:
        return train
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(setting.seed + 20))
    return train[order[: setting.risk_images].to(train.device)]


@cache
def local_estimates(setting: Setting, P: int) -> Tensor:
    """LE-MMSE of every noisy image."""
    task, _, y = noisy_images(setting)
    train = evaluation.images(setting).train
    return torch.cat([estimators.local(part, train, task, setting.sigma, P).x for part in y.split(128)])


@cache
def mmse_estimates(setting: Setting) -> Tensor:
    """MMSE of every noisy image."""
    task, _, y = noisy_images(setting)
    return estimators.mmse(y, evaluation.images(setting).train, task, setting.sigma)


@cache
def equivariant_estimates(setting: Setting) -> Tensor:
    """Equivariant MMSE of every noisy image."""
    task, _, y = noisy_images(setting)
    return estimators.equivariant(y, evaluation.images(setting).train, task, setting.sigma)


@cache
def untrained_estimates(setting: Setting) -> Tensor:
    """The output of the first network of the setting, untrained, for every noisy image."""
    task, _, y = noisy_images(setting)
    case = setting.cases[0]
    network = training.evaluation_mode(
        training.untrained_network(case.architecture, case.P, task, y[:1].float(), 0)
    )
    return evaluation.apply_network(network, task.observe(y), setting.sigma)


def mean_product_by_image(setting: Setting, a: Tensor, b: Tensor) -> Tensor:
    """The product of errors ``(2·pairs·N, C, H, W)``, averaged over pixels and antithetic pairs: ``(pairs·N,)``."""
    return (a * b).flatten(1).mean(1).view(2, -1).mean(0)


def mean_and_error(values: Tensor) -> tuple[float, float]:
    """The mean and its standard error; counting the spread between images makes the error larger, on the safe side."""
    return float(values.mean()), float(values.std() / len(values) ** 0.5)
