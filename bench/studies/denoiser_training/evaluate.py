"""PSNR of a denoiser on a folder of images: ``python -m bench.studies.denoiser_training.evaluate --help``."""

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
"""Families of denoisers and their numbers of channels."""


def mean_psnr(denoiser: Denoiser, images: list[Tensor], sigma: float) -> float:
    """Mean PSNR in dB over images ``(C, H, W)`` in [0, 1], float32, at noise level ``sigma``.

    The noise of image i has seed i. The noisy image is not clipped, the denoised one is.
    """
    values: list[float] = []
    for i, clean in enumerate(images):
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(i))
        with torch.no_grad():
            denoised = denoiser((clean + sigma * noise)[None], torch.tensor(sigma)).clamp(0, 1)
        values.append(float(PSNR(max_pixel=1)(denoised, clean[None])))
    return sum(values) / len(values)


def measured_lipschitz(denoiser: Denoiser, x: Tensor, sigma: float, rounds: int = 30) -> float:
    """A lower bound on the Lipschitz constant of ``x − D(x)``: power iteration on its Jacobian at ``x``.

    The images x are ``(B, C, H, W)``. A round makes one product with the Jacobian and one with its transpose.
    """
    level = torch.tensor(sigma, dtype=x.dtype)
    return jacobian_norm(lambda z: z - denoiser(z, level), x, rounds).value


def evaluation_row(name: str, images: list[Tensor], weights: WeightFile | None) -> pd.DataFrame:
    """One row: PSNR at every level; for a DnCNN, the certified and the measured Lipschitz constant of its residual."""
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
    weights: Annotated[str | None, typer.Option("--weights", help="A file of weights, or download.")] = None,
) -> None:
    """Print the mean PSNR of a denoiser over the images of a folder, at three noise levels."""
    if name not in NAMED:
        raise unknown("denoiser", name, NAMED)
    family, channels = NAMED[name]
    file = weight_file(weights) if weights else None
    tests: list[Tensor] = []
    for path in image_files(images):
        image = read_image(path, channels).float()
        image = image[:, : image.shape[1] // 8 * 8, : image.shape[2] // 8 * 8]
        family.check((image.shape[0], image.shape[1], image.shape[2]))
        tests.append(image)
    print_frame(evaluation_row(name, tests, file), f"{len(tests)} images")


if __name__ == "__main__":
    sys.exit(run_command(app, "python -m bench.studies.denoiser_training.evaluate", None))
