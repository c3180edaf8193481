"""Training by squared error alone: nothing here knows of LE-MMSE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .networks import Architecture, LocalNetwork
from .problems import Problem


@dataclass(frozen=True, slots=True)
class Recipe:
    """AdamW with a one-cycle rate, gradients clipped at norm 1, and an average of the weights.

    The authors let a cosine rate cycle every 60 steps; one cycle over all steps needs fewer of them.

    Attributes:
        steps: batches.
        batch: images a batch, drawn with replacement, each with noise of its own.
        rate: the largest learning rate.
        decay: of the moving average of the weights, a step.
        seed: of the initial weights, the batches and the noise.
    """

    steps: int
    batch: int
    rate: float = 4e-3
    decay: float = 0.98
    seed: int = 0


def train(
    architecture: Architecture,
    P: int,
    problem: Problem,
    images: Tensor,
    sigmas: tuple[float, ...],
    recipe: Recipe,
) -> LocalNetwork:
    """A network of receptive field P for the problem.

    Args:
        images: the training set, ``(N, C, H, W)``; the network is trained in float32, on their device.
        sigmas: noise levels, one drawn for each image; the network is told which.

    Returns:
        The averaged network, in evaluation mode.
    """
    images = images.float()
    rng = torch.Generator().manual_seed(recipe.seed)
    network = untrained_network(architecture, P, problem, images, recipe.seed)
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.decay), use_buffers=True)
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.rate, total_steps=recipe.steps, pct_start=0.15, final_div_factor=100
    )
    clean = problem.clean(images)
    for _ in range(recipe.steps):
        x, z, sigma = training_batch(images, clean, problem, sigmas, recipe.batch, rng)
        optimiser.zero_grad(set_to_none=True)
        (network(z, sigma) - x).square().mean().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        averaged.update_parameters(network)
    return evaluation_mode(cast(LocalNetwork, averaged.module))


def training_batch(
    images: Tensor,
    clean: Tensor,
    problem: Problem,
    sigmas: tuple[float, ...],
    count: int,
    rng: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Images, what a network is shown of them, and the noise levels ``(count,)``."""
    device = images.device
    pick = torch.randint(len(images), (count,), generator=rng).to(device)
    level = torch.tensor(sigmas)[torch.randint(len(sigmas), (count,), generator=rng)].to(device)
    noise = torch.randn((count, *images.shape[1:]), generator=rng).to(device)
    y = clean[pick] + level[:, None, None, None] * noise
    return images[pick], problem.observe(y), level


def untrained_network(
    architecture: Architecture, P: int, problem: Problem, images: Tensor, seed: int
) -> LocalNetwork:
    """A network that was never trained, on the images' device, in float32, in training mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        body = architecture(images.shape[1], P)
    impulse = torch.zeros_like(images[:1])
    impulse[..., 0, 0] = 1
    gain = float(problem.observe(impulse)[0, 0].norm())
    return LocalNetwork(body, P, gain).to(images.device).train()


def evaluation_mode(network: LocalNetwork) -> LocalNetwork:
    """In evaluation mode, where batch normalisation does not look at the batch, nor at the rest of an image."""
    return network.eval().requires_grad_(False)
