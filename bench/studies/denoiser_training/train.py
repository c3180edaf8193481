"""Train the denoisers that the project ships: ``python -m bench.studies.denoiser_training.train --help``.

They are a compact DRUNet with a map of noise levels as input, and a DnCNN whose residual is a contraction.
"""

from __future__ import annotations

import copy
import io
import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

import torch
import typer
from torch import Tensor, nn

from ...denoisers.architectures import ARCHITECTURES, SIGMA_0, Architecture, Limiter, limit_lipschitz
from ...denoisers.weights import pack, weight_bytes
from ...utils.atomic_files import write_atomically
from ...utils.console import run_command, say
from ...utils.errors import UserError, unknown
from .crops import Photographs, read_folders, sample

app = typer.Typer(add_completion=False, rich_markup_mode=None)
LARGEST_SIGMA = 60 / 255
"""Noise levels of the training are uniform in [0, 60/255], as DRUNet's published training is in [0, 50/255]."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings of a training. With the images and the device they determine the weights.

    Attributes:
        architecture: a name of ``ARCHITECTURES``.
        steps: number of optimiser steps.
        batch, crop: number of crops in a step, and their side in pixels.
        rate: largest learning rate.
        seed: of initial weights, crops and noise.
    """

    architecture: str
    steps: int
    batch: int
    crop: int
    rate: float
    seed: int

    @property
    def network(self) -> Architecture:
        """The architecture with that name."""
        return ARCHITECTURES[self.architecture]


Part: TypeAlias = nn.Module | torch.optim.Optimizer | torch.optim.lr_scheduler.OneCycleLR


class Training:
    """The state of a training: weights, their running average, the optimiser, and the number of steps done."""

    def __init__(self, recipe: Recipe, device: str) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.device = torch.device(device)
        self.network = recipe.network.build().to(self.device).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network)
        self.optimiser = _optimiser(recipe, self.network)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser,
            recipe.rate,
            total_steps=recipe.steps,
            pct_start=0.03,
            cycle_momentum=recipe.network.lipschitz is None,
        )
        bound = recipe.network.lipschitz
        self.limiter = None if bound is None else Limiter(self.network, bound)
        if self.limiter is not None:
            self.limiter.limit(rounds=50)
        self.done = 0

    def advance(self, photographs: Photographs) -> float:
        """Take one step. Returns its loss."""
        recipe, step = self.recipe, self.done
        rng = torch.Generator().manual_seed((recipe.seed << 32) + step)
        clean = sample(photographs, recipe.crop, recipe.batch, rng)
        with torch.autocast(self.device.type, torch.bfloat16):
            loss = noisy_loss(recipe.network, self.network, clean, self.device, rng)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.schedule.step()
        if self.limiter is not None:
            self.limiter.limit()
        with torch.no_grad():
            keep = min(0.999, (1 + step) / (10 + step))
            for slow, fast in zip(self.average.parameters(), self.network.parameters(), strict=True):
                slow.lerp_(fast, 1 - keep)
        self.done = step + 1
        return loss.item()

    def write(self, checkpoint: Path) -> None:
        """Write a checkpoint for ``resume``, atomically."""
        stream = io.BytesIO()
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        torch.save({**parts, "recipe": asdict(self.recipe), "done": self.done}, stream)
        write_atomically(checkpoint, stream.getvalue())

    def resume(self, checkpoint: Path) -> None:
        """Continue from a checkpoint. Raises ``UserError`` if it is damaged or of another recipe."""
        try:
            state = torch.load(checkpoint, map_location=self.device, weights_only=True)
            recipe, done = state["recipe"], int(state["done"])
        except Exception as error:  # the parsers of torch raise a dozen types
            raise UserError(f"the checkpoint {checkpoint} is damaged: remove it to start over") from error
        if recipe != asdict(self.recipe):
            raise UserError(
                f"the checkpoint {checkpoint} is of another run: remove it, or give another --out"
            )
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.done = done

    def _parts(self) -> dict[str, Part]:
        parts: dict[str, Part] = {
            "network": self.network,
            "average": self.average,
            "optimiser": self.optimiser,
            "schedule": self.schedule,
        }
        return parts if self.limiter is None else parts | {"limiter": self.limiter}


def _optimiser(recipe: Recipe, network: nn.Module) -> torch.optim.Optimizer:
    """Adam, or gradient descent with momentum if the norms of layers are bounded.

    All entries of a step of Adam have about the same size, so each step raises the norm of a layer far more than it
    helps. Scaling the layer back to its bound then makes the residual vanish.
    """
    if recipe.network.lipschitz is None:
        return torch.optim.Adam(network.parameters(), lr=recipe.rate)
    return torch.optim.SGD(network.parameters(), lr=recipe.rate, momentum=0.9, nesterov=True)


def noisy_loss(
    architecture: Architecture, network: nn.Module, clean: Tensor, device: torch.device, rng: torch.Generator
) -> Tensor:
    """Mean absolute error of the denoised crops at random noise levels, in grey levels of [0, 1].

    Args:
        architecture, network, device: the network is on the device.
        clean: crops ``(B, C, H, W)``, on the CPU.
        rng: of levels and noise, on the CPU.
    """
    sigma = (LARGEST_SIGMA * torch.rand(len(clean), 1, 1, 1, generator=rng)).to(device)
    noise = torch.randn(clean.shape, generator=rng).to(device)
    clean = clean.to(device)
    if architecture.blind:
        # A network for one level serves every level on images that are scaled (see ``ScaledDenoiser``).
        scale = (sigma / SIGMA_0).clamp(min=0.1)
        clean = clean / scale
        return (scale * (network(clean + SIGMA_0 * noise).float() - clean)).abs().mean()
    return (network(clean + sigma * noise, sigma).float() - clean).abs().mean()


def fit_network(
    recipe: Recipe, photographs: Photographs, checkpoint: Path, device: str, every: int = 200
) -> nn.Module:
    """Train, continuing from ``checkpoint`` if it exists; it is written every ``every`` steps and at the end.

    Returns:
        The network with the running average of its weights, on the CPU.
    """
    training = Training(recipe, device)
    if checkpoint.is_file():
        training.resume(checkpoint)
    mean_loss = math.nan
    while training.done < recipe.steps:
        loss = training.advance(photographs)
        mean_loss = loss if math.isnan(mean_loss) else 0.99 * mean_loss + 0.01 * loss
        if training.done % every == 0 or training.done == recipe.steps:
            say(f"step {training.done}/{recipe.steps}: mean absolute error {255 * mean_loss:.3f} / 255")
            training.write(checkpoint)
    if recipe.network.lipschitz is not None:
        limit_lipschitz(training.average, recipe.network.lipschitz)
    return training.average.to("cpu")


@app.command()
def train_denoiser(
    architecture: Annotated[str, typer.Argument(help=", ".join(ARCHITECTURES))],
    images: Annotated[
        list[Path], typer.Option("--images", help="A folder of training images; may be repeated.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The weights, a .safetensors file.")],
    steps: Annotated[int, typer.Option("--steps", min=1)] = 7000,
    batch: Annotated[int, typer.Option("--batch", min=1)] = 16,
    crop: Annotated[int, typer.Option("--crop", min=32)] = 64,
    rate: Annotated[float | None, typer.Option("--rate", help="Largest learning rate.", min=0.0)] = None,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    threads: Annotated[int, typer.Option("--threads", min=1)] = 2,
    device: Annotated[str, typer.Option("--device")] = "cpu",
    half: Annotated[bool, typer.Option("--half", help="Store float16 (a DRUNet only).")] = False,
) -> None:
    """Train one of the denoisers. A stopped run continues from its last checkpoint, beside --out."""
    if architecture not in ARCHITECTURES:
        raise unknown("architecture", architecture, ARCHITECTURES)
    if rate is None:
        rate = 1e-3 if ARCHITECTURES[architecture].lipschitz is None else 1e-2
    recipe = Recipe(architecture, steps, batch, crop, rate, seed)
    if out.suffix != ".safetensors":
        raise UserError(f"--out must be a .safetensors file, not {str(out)!r}")
    if half and recipe.network.lipschitz is not None:
        raise UserError(f"--half would round away the certified constant of {architecture}: leave it out")
    if recipe.network.kind.__name__ == "DRUNet" and crop % 8:
        raise UserError(f"--crop must be a multiple of 8 for a DRUNet, not {crop}")
    torch.set_num_threads(threads)
    checkpoint = out.with_suffix(".checkpoint")
    photographs = read_folders(images, recipe.network.channels, crop)
    network = fit_network(recipe, photographs, checkpoint, device)
    write_atomically(out, weight_bytes(network, architecture))
    if half:
        write_atomically(out, pack(out, architecture, torch.float16))
    checkpoint.unlink(missing_ok=True)
    say(f"weights: {out}")


if __name__ == "__main__":
    sys.exit(run_command(app, "python -m bench.studies.denoiser_training.train", None))
