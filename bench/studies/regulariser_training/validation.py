"""Fixed noisy crops on which trainings are judged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from solvers import QuasiNewton

from ...operators.gradient_step import GradientStep, SmoothRegulariser
from ...tasks.images import read_image
from ...utils.errors import UserError
from ...utils.random_streams import stream
from ..denoiser_training.crops import image_files
from ..psnr import psnr

ACCURACY = 1e-2
"""Relative residual of the gradient, ``‖∇E(x)‖ ≤ 1e-2 ‖x‖``: it moves the PSNR by less than 0.02 dB (docs)."""
BUDGET = 300


@dataclass(frozen=True, slots=True)
class Validation:
    """Crops from the middle of images, and their noisy versions, ``(B, 1, H, W)`` float32 in [0, 1]."""

    truth: Tensor
    y: Tensor

    def psnr_of(self, x: Tensor) -> float:
        """Mean PSNR in dB of images, which are not clipped."""
        return float(psnr(x, self.truth).mean())

    @torch.no_grad()
    def psnr(self, regulariser: SmoothRegulariser, accuracy: float = ACCURACY) -> float:
        """Mean PSNR in dB of the minimisers of ``½‖x − y‖² + R(x)``, found by L-BFGS."""
        step = GradientStep(regulariser, 1.0).step()

        def T(x: Tensor) -> Tensor:
            return x - step * (x - self.y + regulariser.gradient(x))

        return self.psnr_of(QuasiNewton(accuracy * step, BUDGET)(T, self.y).x)


def validation_crops(folder: Path, noise: float, size: int) -> Validation:
    """The middle of each image of a folder, with noise of standard deviation ``noise``, always the same.

    Raises ``UserError`` if there is no such folder, or an image is smaller than ``size`` pixels.
    """
    crops: list[Tensor] = []
    for file in image_files(folder):
        image = read_image(file, 1).float()
        height, width = image.shape[1:]
        if min(height, width) < size:
            raise UserError(f"{file.name} is {width}×{height}, smaller than the crops of {size}×{size}")
        top, left = (height - size) // 2, (width - size) // 2
        crops.append(image[:, top : top + size, left : left + size])
    truth = torch.stack(crops)
    drawn = torch.randn(truth.shape, generator=stream(0, "validation noise"), dtype=torch.float64)
    return Validation(truth, truth + noise * drawn.float())
