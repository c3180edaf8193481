"""What several experiments need, computed once: images, networks, measurements and estimates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from . import estimators, training
from .data import Images, missing
from .estimators import Estimate
from .networks import Local
from .problems import Operator, Problem, problem
from .settings import Case, Setting


@dataclass(frozen=True, slots=True)
class Scene:
    """Images and their measurements, ``(B, C, H, W)``, float64."""

    problem: Problem
    x: Tensor
    y: Tensor
    sigma: float


@cache
def images(at: Setting) -> Images:
    """The images of a setting, on its device."""
    found = at.source.load(at.size, at.train, at.test)
    return Images(found.label, found.train.to(at.device), found.test.to(at.device))


def grey(at: Setting) -> Images:
    """The same in one channel, for claims about the estimators alone: ``(N, 1, H, W)``."""
    found = images(at)
    return Images(found.label, found.train.mean(1, keepdim=True), found.test.mean(1, keepdim=True))


def outside(at: Setting) -> str | None:
    """Why a setting cannot be run here: its images are not there. ``None`` where they are."""
    return missing(lambda: at.source.load(at.size, 1, 1))


def pool(at: Setting, split: str) -> Tensor:
    """The images of a split, ``train`` or ``test``."""
    return images(at).train if split == "train" else images(at).test


@cache
def scene(at: Setting, operator: Operator, aware: bool, split: str, sigma: float) -> Scene:
    """The first images of a split, measured. The noise is the same for every problem."""
    x = pool(at, split)[: at.shown]
    asked = problem(operator, aware, x)
    return Scene(asked, x, asked.measure(x, noise(x.shape, at.seed, at.device), sigma), sigma)


def noise(shape: torch.Size, seed: int, device: str) -> Tensor:
    """White noise, float64, drawn on the CPU."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(device)


@cache
def estimate(
    at: Setting, operator: Operator, aware: bool, split: str, sigma: float, P: int, count: int = 0
) -> Estimate:
    """LE-MMSE of a scene, from the first ``count`` training images; from all where 0."""
    seen = scene(at, operator, aware, split, sigma)
    train = images(at).train
    return estimators.local(seen.y, train[: count or len(train)], seen.problem, sigma, P)


@cache
def unconstrained(at: Setting, operator: Operator, split: str, sigma: float) -> Tensor:
    """MMSE of a scene, which does not depend on B."""
    seen = scene(at, operator, False, split, sigma)
    return estimators.mmse(seen.y, images(at).train, seen.problem, sigma)


@cache
def network(at: Setting, case: Case) -> Local:
    """A network, trained."""
    train = images(at).train.float()
    asked = problem(case.operator, case.aware, train)
    train = train[: case.images or len(train)]
    return training.train(case.architecture, case.P, asked, train, case.sigmas, case.recipe)


@cache
def restored(at: Setting, case: Case, split: str, sigma: float) -> Tensor:
    """What a network makes of a scene, float64."""
    seen = scene(at, case.operator, case.aware, split, sigma)
    return applied(network(at, case), seen.problem.see(seen.y), sigma)


def applied(network: Local, z: Tensor, sigma: float) -> Tensor:
    """What a network makes of ``B y``, float64 from float64, some images at a time."""
    parts = [network(part.float(), part.new_full((len(part),), sigma).float()) for part in z.split(64)]
    return torch.cat(parts).double()
