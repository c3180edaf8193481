"""PSNR of a denoiser over a folder of images: ``python -m bench.studies.denoiser_training.evaluate --help``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import pandas as pd
import torch
import typer
from deepinv.loss.metric import PSNR
from torch import Tensor

from ...denoisers.base import Denoiser, Family, ScaledDenoiser
from ...denoisers.families import DncnnFamily, DrunetFamily
from ...denoisers.scico import ScicoFamily
from ...denoisers.weights import WeightFile, weight_file
from ...measurement.jacobian_norm import jacobian_norm
from ...tasks.images import read_image
from ...utils.console import print_frame, run_command
from ...utils.errors import unknown
from .crops import image_files

app = typer.Typer(add_completion=False, rich_markup_mode=None)
LEVELS = (15, 25, 50)
"""Standard deviations of the noise, in grey levels of 255."""
NAMED: dict[str, tuple[Family, int]] = {
    "drunet_grey": (DrunetFamily(), 1),
    "drunet_colour": (DrunetFamily(), 3),
    "dncnn_grey": (DncnnFamily(), 1),
    "scico6": (ScicoFamily(6), 1),
    "scico17": (ScicoFamily(17), 1),
}
"""Families with their number of channels."""


def mean_psnr(denoiser: Denoiser, images: list[Tensor], sigma: float) -> float:
    """Mean PSNR in dB over images ``(C, H, W)`` in [0, 1], float32, at noise level ``sigma``.

    The noise of the i-th image is that of seed i at every level and is not clipped; the output is.
    """
    values: list[float] = []
    for i, clean in enumerate(images):
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(i))
        with torch.no_grad():
            found = denoiser((clean + sigma * noise)[None], torch.tensor(sigma)).clamp(0, 1)
        values.append(float(PSNR(max_pixel=1)(found, clean[None])))
    return sum(values) / len(values)


def measured_lipschitz(denoiser: Denoiser, x: Tensor, sigma: float, rounds: int = 30) -> float:
    """A lower bound on the Lipschitz constant of the residual: power iteration on its Jacobian at ``x``.

    Args:
        denoiser: D.
        x: images ``(B, C, H, W)``.
        sigma: the noise level.
        rounds: products with the Jacobian and its transpose.
    """

    level = torch.tensor(sigma, dtype=x.dtype)
    return jacobian_norm(lambda z: z - denoiser(z, level), x, rounds).value


def evaluation_row(name: str, images: list[Tensor], weights: WeightFile | None) -> pd.DataFrame:
    """One row: PSNR at every level, and for a DnCNN the Lipschitz constant of its residual, certified and measured."""
    family, channels = NAMED[name]
    denoiser = family.build(channels, torch.float32, "cpu", weights)
    row: dict[str, str] = {"denoiser": name}
    for level in LEVELS:
        row[f"σ = {level}/255"] = f"{mean_psnr(denoiser, images, level / 255):.2f} dB"
    if isinstance(denoiser, ScaledDenoiser):
        patch = images[0][None, :, :64, :64]
        row["residual ≤"] = f"{denoiser.residual_lipschitz():.4g}"
        row["residual ≥"] = f"{measured_lipschitz(denoiser, patch, 25 / 255):.4g}"
    return pd.DataFrame([row])


@app.command()
def evaluate(
    name: Annotated[str, typer.Argument(help=", ".join(NAMED))],
    images: Annotated[Path, typer.Option("--images", help="A folder of test images.")],
    weights: Annotated[str | None, typer.Option("--weights", help="A file, or download.")] = None,
) -> None:
    """Mean PSNR of a denoiser over the images of a folder, at three noise levels."""
    if name not in NAMED:
        raise unknown("denoiser", name, NAMED)
    given = weight_file(weights) if weights else None
    found = [read_image(file, NAMED[name][1]).float() for file in image_files(images)]
    found = [image[:, : image.shape[1] // 8 * 8, : image.shape[2] // 8 * 8] for image in found]
    for image in found:
        NAMED[name][0].check((image.shape[0], image.shape[1], image.shape[2]))
    print_frame(evaluation_row(name, found, given), f"{len(found)} images")


if __name__ == "__main__":
    sys.exit(run_command(app, "python -m bench.studies.denoiser_training.evaluate", None))
