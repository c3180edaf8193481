"""Images, measurements, trained networks and estimates that several experiments share; each is computed once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from . import estimators, training
from .data import Images, load_error
from .estimators import Estimate
from .networks import LocalNetwork
from .problems import Operator, Problem, problem
from .settings import Case, Setting


@dataclass(frozen=True, slots=True)
class Measurements:
    """Images and their measurements, ``(B, C, H, W)``, float64."""

    problem: Problem
    x: Tensor
    y: Tensor
    sigma: float


@cache
def images(setting: Setting) -> Images:
    """The images of a setting, on its device."""
    loaded = setting.source.load(setting.size, setting.train, setting.test)
    return Images(loaded.label, loaded.train.to(setting.device), loaded.test.to(setting.device))


def grey(setting: Setting) -> Images:
    """The images averaged over channels, ``(N, 1, H, W)``, for claims about the estimators alone."""
    colour = images(setting)
    return Images(colour.label, colour.train.mean(1, keepdim=True), colour.test.mean(1, keepdim=True))


def missing_images(setting: Setting) -> str | None:
    """The reason why the images of a setting cannot be loaded; ``None`` if they can."""
    return load_error(lambda: setting.source.load(setting.size, 1, 1))


def split_images(setting: Setting, split: str) -> Tensor:
    """The images of a split, ``train`` or ``test``."""
    return images(setting).train if split == "train" else images(setting).test


@cache
def measurements(setting: Setting, operator: Operator, aware: bool, split: str, sigma: float) -> Measurements:
    """The first images of a split, measured. The noise is the same for every problem."""
    x = split_images(setting, split)[: setting.match_images]
    task = problem(operator, aware, x)
    return Measurements(task, x, task.measure(x, noise(x.shape, setting.seed, setting.device), sigma), sigma)


def noise(shape: torch.Size, seed: int, device: str) -> Tensor:
    """White noise, float64, drawn on the CPU."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(device)


@cache
def local_estimate(
    setting: Setting, operator: Operator, aware: bool, split: str, sigma: float, P: int, count: int = 0
) -> Estimate:
    """LE-MMSE of ``measurements``, from the first ``count`` training images (0 for all)."""
    measured = measurements(setting, operator, aware, split, sigma)
    train = images(setting).train
    return estimators.local(measured.y, train[: count or len(train)], measured.problem, sigma, P)


@cache
def mmse_estimate(setting: Setting, operator: Operator, split: str, sigma: float) -> Tensor:
    """MMSE of ``measurements``; it does not depend on B."""
    measured = measurements(setting, operator, False, split, sigma)
    return estimators.mmse(measured.y, images(setting).train, measured.problem, sigma)


@cache
def trained_network(setting: Setting, case: Case) -> LocalNetwork:
    """The trained network of a case."""
    train = images(setting).train.float()
    task = problem(case.operator, case.aware, train)
    train = train[: case.images or len(train)]
    return training.train(case.architecture, case.P, task, train, case.sigmas, case.recipe)


@cache
def network_output(setting: Setting, case: Case, split: str, sigma: float) -> Tensor:
    """The output of a trained network on ``measurements``, float64."""
    measured = measurements(setting, case.operator, case.aware, split, sigma)
    return apply_network(trained_network(setting, case), measured.problem.observe(measured.y), sigma)


def apply_network(trained_network: LocalNetwork, z: Tensor, sigma: float) -> Tensor:
    """The output of a network for z = ``B y``, float64; computed in float32, 64 images at a time."""
    parts = [
        trained_network(part.float(), part.new_full((len(part),), sigma).float()) for part in z.split(64)
    ]
    return torch.cat(parts).double()
