"""The three inverse problems: an operator of deepinv, noise on every pixel, and what the estimator is shown of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from deepinv.physics import BlurFFT, Denoising, Inpainting, LinearPhysics
from deepinv.physics.functional.blur import gaussian_blur
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Problem:
    """``y = A x + e`` with e white on all pixels, seen as ``B y``.

    Attributes:
        name: of the operator.
        physics: A.
        aware: whether B is the pseudo-inverse of A ("physics-aware"), or the identity ("physics-agnostic").
    """

    name: str
    physics: LinearPhysics
    aware: bool

    @property
    def label(self) -> str:
        """As tables print it."""
        return f"{self.name}, {'aware' if self.aware else 'agnostic'}"

    def clean(self, x: Tensor) -> Tensor:
        """``A x``, for images ``(B, C, H, W)``."""
        return self.physics.A(x)

    def observe(self, y: Tensor) -> Tensor:
        """``B y``, of the same shape."""
        return self.physics.A_dagger(y) if self.aware else y

    def measure(self, x: Tensor, noise: Tensor, sigma: float | Tensor) -> Tensor:
        """``A x + σ e``. On lost pixels too, unlike ``physics(x)`` of an ``Inpainting``, which masks its noise."""
        return self.clean(x) + sigma * noise


@dataclass(frozen=True, slots=True)
class Denoise:
    """A = I."""

    def __call__(self, shape: tuple[int, int, int], device: str, dtype: torch.dtype) -> LinearPhysics:
        """For images of ``shape`` = (C, H, W)."""
        return Denoising(device=device)


@dataclass(frozen=True, slots=True)
class InpaintCentre:
    """A square in the middle is lost."""

    side: int

    def __call__(self, shape: tuple[int, int, int], device: str, dtype: torch.dtype) -> LinearPhysics:
        """For images of ``shape`` = (C, H, W)."""
        kept = torch.ones(shape, dtype=dtype)
        top, left = ((length - self.side) // 2 for length in shape[1:])
        kept[:, top : top + self.side, left : left + self.side] = 0
        return _masked(kept, device)


@dataclass(frozen=True, slots=True)
class InpaintRandom:
    """A share of the pixels is lost, all channels of a pixel at once."""

    lost: float
    seed: int = 1234

    def __call__(self, shape: tuple[int, int, int], device: str, dtype: torch.dtype) -> LinearPhysics:
        """For images of ``shape`` = (C, H, W)."""
        drawn = torch.rand(shape[1:], generator=torch.Generator().manual_seed(self.seed))
        return _masked((drawn >= self.lost).to(dtype).expand(shape), device)


@dataclass(frozen=True, slots=True)
class GaussianBlur:
    """Circular convolution with a Gaussian of that standard deviation in pixels."""

    width: float

    def __call__(self, shape: tuple[int, int, int], device: str, dtype: torch.dtype) -> LinearPhysics:
        """For images of ``shape`` = (C, H, W)."""
        kernel = gaussian_blur(sigma=self.width).to(dtype)
        return BlurFFT(img_size=shape, filter=kernel, device=device)


def _masked(kept: Tensor, device: str) -> LinearPhysics:
    # Its annotation asks for one number, its documentation for (C, H, W).
    return Inpainting(tuple(kept.shape), mask=kept, device=device)  # pyright: ignore[reportArgumentType]


Operator = Denoise | InpaintCentre | InpaintRandom | GaussianBlur


def problem(operator: Operator, aware: bool, like: Tensor) -> Problem:
    """The problem for images such as ``like``, on its device and in its precision."""
    _, C, H, W = like.shape
    physics: Callable[[tuple[int, int, int], str, torch.dtype], LinearPhysics] = operator
    names = {Denoise: "denoising", GaussianBlur: "deconvolution"}
    name = names.get(type(operator), "inpainting")
    return Problem(name, physics((C, H, W), str(like.device), like.dtype), aware)
