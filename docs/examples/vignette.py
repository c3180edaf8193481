"""A blurred image that darkens towards its corners: a measurement without known singular values, but with a bound.

python -m bench cell --task 'docs/examples/vignette.py:vignette' --solver 'deq(0.001)'
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from deepinv.physics import BlurFFT, LinearPhysics
from deepinv.physics.functional import gaussian_blur
from torch import Tensor

from bench.operators import Prior
from bench.penalties import huber
from bench.spectra import Basis, Spectrum
from bench.tasks import Task


class DarkCorners(LinearPhysics):
    """``y = v · (h * x)`` with ``0 < v ≤ 1`` at each pixel, so that ``‖A‖ ≤ max v · max|ĥ|``."""

    def __init__(self, blur: BlurFFT, v: Tensor) -> None:
        super().__init__()
        self.blur = blur
        self.register_buffer("v", v)

    def A(self, x: Tensor, **kwargs: object) -> Tensor:
        """Images ``(B, C, H, W)`` to measurements of the same shape."""
        return self.v * self.blur.A(x)

    def A_adjoint(self, y: Tensor, **kwargs: object) -> Tensor:
        """The adjoint."""
        return self.blur.A_adjoint(self.v * y)

    def spectrum(self, shape: tuple[int, ...]) -> Spectrum:
        """The bounds, from which L and certificates follow."""
        power = self.blur.mask.double().square()
        least, largest = float(self.v.min()) ** 2, float(self.v.max()) ** 2
        outward = 1e-12  # for the rounding of the transform of the kernel
        return Spectrum(
            least * float(power.min()) * (1 - outward),
            largest * float(power.max()) * (1 + outward),
            Basis.PROVEN,
        )


@dataclass(frozen=True)
class Corners:
    """Makes the measurement once the size of an image is known."""

    def __call__(
        self, shape: tuple[int, ...], rng: torch.Generator, dtype: torch.dtype, device: torch.device
    ) -> LinearPhysics:
        """The measurement of images of ``shape`` ``(C, H, W)``."""
        blur = BlurFFT(shape, gaussian_blur(sigma=(1.0, 1.0)).to(device, dtype), device=device)
        y, x = (torch.linspace(-1, 1, side, dtype=dtype, device=device) for side in shape[1:])
        return DarkCorners(blur, 1 - 0.3 * (y[:, None] ** 2 + x**2))


def vignette(prior: Prior = huber()) -> Task:  # noqa: B008
    """Grey images, darker towards the corners; the step is 1/‖A‖², by the bound."""
    return Task(f"vignette({prior.label})", Corners(), (0.02,), prior, None)
