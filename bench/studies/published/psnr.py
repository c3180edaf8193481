"""PSNR of reconstructions with published weights: as cheap as is advised, and solved as exactly as is useful."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch

from solvers import QuasiNewton

from ...operators import data_fidelity
from ...tasks import Task
from ...tasks.base import first_step
from ...tasks.images import ImageFile, crops
from ...utils.errors import UserError
from ...utils.random_streams import stream
from ..psnr import psnr

ADVISED = QuasiNewton(1e-6)
"""Tolerance at which a PSNR is taken."""
EXACT = QuasiNewton(1e-8, 2000)
"""What it is held against; it goes on where the other ended."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Mean PSNR in dB over the images.

    Attributes:
        noisy, advised, exact: of the measurements, and of both solves.
        largest: largest difference of an image between both solves.
        applications, more: of the first solve, and of the second from there; weighted by the share of the images.
    """

    noisy: float
    advised: float
    exact: float
    largest: float
    applications: float
    more: float

    def columns(self) -> dict[str, object]:
        """For a JSON file."""
        return asdict(self)


def scores(task: Task, files: tuple[ImageFile, ...], side: int, seed: int) -> Scores:
    """Denoise one crop of each image, in float64.

    Args:
        task: denoising with a learned regulariser.
        files: grey images.
        side: of the crops in pixels.
        seed: of the crops and the noise.

    Raises:
        UserError: an image is smaller than the crop, or a solve does not reach its tolerance.
    """
    truth = crops(files, task.channels, side, len(files), seed)
    noise = torch.randn(truth.shape, generator=stream(seed, "test noise"), dtype=torch.float64)
    y = truth + task.noise[0] * noise
    shape = (task.channels, side, side)
    physics = task.physics(shape, stream(seed, "masks"), torch.float64, torch.device("cpu"))
    operator = task.splitting.operator(
        task.prior, physics, shape, first_step(task, physics, shape), torch.float64, "cpu"
    )
    T = operator.bind(y, physics)
    with torch.no_grad():
        first = ADVISED(T, data_fidelity(y, physics).backprojection)
        second = EXACT(T, first.x)
    for point in (first, second):
        if not point.report.converged:
            raise UserError(
                f"no PSNR of {task.label}: the equilibrium has a residual of {point.report.residual:.1e}"
            )
    advised, exact = psnr(first.x, truth), psnr(second.x, truth)
    return Scores(
        noisy=float(psnr(y, truth).mean()),
        advised=float(advised.mean()),
        exact=float(exact.mean()),
        largest=float((advised - exact).abs().max()),
        applications=first.report.evaluations,
        more=second.report.evaluations,
    )
