"""What several experiments need, computed once: images, networks, measurements and estimates."""

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
    found = setting.source.load(setting.size, setting.train, setting.test)
    return Images(found.label, found.train.to(setting.device), found.test.to(setting.device))


def grey(setting: Setting) -> Images:
    """The same in one channel, for claims about the estimators alone: ``(N, 1, H, W)``."""
    found = images(setting)
    return Images(found.label, found.train.mean(1, keepdim=True), found.test.mean(1, keepdim=True))


def missing_images(setting: Setting) -> str | None:
    """Why a setting cannot be run here: its images are not there. ``None`` where they are."""
    return load_error(lambda: setting.source.load(setting.size, 1, 1))


def split_images(setting: Setting, split: str) -> Tensor:
    """The images of a split, ``train`` or ``test``."""
    return images(setting).train if split == "train" else images(setting).test


@cache
def measurements(setting: Setting, operator: Operator, aware: bool, split: str, sigma: float) -> Measurements:
    """The first images of a split, measured. The noise is the same for every problem."""
    x = split_images(setting, split)[: setting.match_images]
    asked = problem(operator, aware, x)
    return Measurements(
        asked, x, asked.measure(x, noise(x.shape, setting.seed, setting.device), sigma), sigma
    )


def noise(shape: torch.Size, seed: int, device: str) -> Tensor:
    """White noise, float64, drawn on the CPU."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(device)


@cache
def local_estimate(
    setting: Setting, operator: Operator, aware: bool, split: str, sigma: float, P: int, count: int = 0
) -> Estimate:
    """LE-MMSE of a scene, from the first ``count`` training images; from all where 0."""
    seen = measurements(setting, operator, aware, split, sigma)
    train = images(setting).train
    return estimators.local(seen.y, train[: count or len(train)], seen.problem, sigma, P)


@cache
def mmse_estimate(setting: Setting, operator: Operator, split: str, sigma: float) -> Tensor:
    """MMSE of a scene, which does not depend on B."""
    seen = measurements(setting, operator, False, split, sigma)
    return estimators.mmse(seen.y, images(setting).train, seen.problem, sigma)


@cache
def trained_network(setting: Setting, case: Case) -> LocalNetwork:
    """A network, trained."""
    train = images(setting).train.float()
    asked = problem(case.operator, case.aware, train)
    train = train[: case.images or len(train)]
    return training.train(case.architecture, case.P, asked, train, case.sigmas, case.recipe)


@cache
def network_output(setting: Setting, case: Case, split: str, sigma: float) -> Tensor:
    """What a network makes of a scene, float64."""
    seen = measurements(setting, case.operator, case.aware, split, sigma)
    return apply_network(trained_network(setting, case), seen.problem.observe(seen.y), sigma)


def apply_network(trained_network: LocalNetwork, z: Tensor, sigma: float) -> Tensor:
    """What a network makes of ``B y``, float64 from float64, some images at a time."""
    parts = [
        trained_network(part.float(), part.new_full((len(part),), sigma).float()) for part in z.split(64)
    ]
    return torch.cat(parts).double()
