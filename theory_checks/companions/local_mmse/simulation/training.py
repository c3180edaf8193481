"""Training by squared error alone; LE-MMSE does not enter."""

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
    """AdamW with a one-cycle learning rate, gradients clipped at norm 1, and a moving average of the weights.

    The authors cycle a cosine rate every 60 steps; one cycle over all steps needs fewer steps.

    Attributes:
        steps: number of batches.
        batch: images of a batch, drawn with replacement, each with its own noise.
        rate: largest learning rate.
        decay: factor of the moving average of the weights per step.
        seed: seed of the initial weights, the batches and the noise.
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
    """Train a network of receptive field P for a problem.

    Args:
        images: training set, ``(N, C, H, W)``; training is in float32, on their device.
        sigmas: noise levels; one is drawn for each image, and is an input of the network.

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
    """A batch: images, inputs ``B y`` of the network, and noise levels ``(count,)``."""
    device = images.device
    pick = torch.randint(len(images), (count,), generator=rng).to(device)
    level = torch.tensor(sigmas)[torch.randint(len(sigmas), (count,), generator=rng)].to(device)
    noise = torch.randn((count, *images.shape[1:]), generator=rng).to(device)
    y = clean[pick] + level[:, None, None, None] * noise
    return images[pick], problem.observe(y), level


def untrained_network(
    architecture: Architecture, P: int, problem: Problem, images: Tensor, seed: int
) -> LocalNetwork:
    """A network with initial weights, on the device of the images, in float32 and training mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        body = architecture(images.shape[1], P)
    impulse = torch.zeros_like(images[:1])
    impulse[..., 0, 0] = 1
    gain = float(problem.observe(impulse)[0, 0].norm())
    return LocalNetwork(body, P, gain).to(images.device).train()


def evaluation_mode(network: LocalNetwork) -> LocalNetwork:
    """The network in evaluation mode: batch norm then depends neither on the batch nor on the rest of the image."""
    return network.eval().requires_grad_(False)
