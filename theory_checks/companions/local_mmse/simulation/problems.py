"""The three inverse problems: an operator of deepinv, noise on every pixel, and the input of the estimator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from deepinv.physics import BlurFFT, Denoising, Inpainting, LinearPhysics
from deepinv.physics.functional.blur import gaussian_blur
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Problem:
    """``y = A x + σ e`` with e white on all pixels; the estimator's input is ``B y``.

    Attributes:
        name: name of the operator.
        physics: the operator A.
        aware: whether B is the pseudo-inverse of A ("physics-aware"), or the identity ("physics-agnostic").
    """

    name: str
    physics: LinearPhysics
    aware: bool

    @property
    def label(self) -> str:
        """Name printed in tables."""
        return f"{self.name}, {'aware' if self.aware else 'agnostic'}"

    def clean(self, x: Tensor) -> Tensor:
        """``A x``, for images ``(B, C, H, W)``."""
        return self.physics.A(x)

    def observe(self, y: Tensor) -> Tensor:
        """``B y``, of the same shape."""
        return self.physics.A_dagger(y) if self.aware else y

    def measure(self, x: Tensor, noise: Tensor, sigma: float | Tensor) -> Tensor:
        """``A x + σ e``, with noise on lost pixels too; ``physics(x)`` of an ``Inpainting`` would mask it."""
        return self.clean(x) + sigma * noise


@dataclass(frozen=True, slots=True)
class Denoise:
    """Denoising, A = I."""

    def __call__(self, shape: tuple[int, int, int], device: str, dtype: torch.dtype) -> LinearPhysics:
        """The operator for images of ``shape`` = (C, H, W)."""
        return Denoising(device=device)


@dataclass(frozen=True, slots=True)
class InpaintCentre:
    """Inpainting: a square of ``side`` pixels in the centre is lost."""

    side: int

    def __call__(self, shape: tuple[int, int, int], device: str, dtype: torch.dtype) -> LinearPhysics:
        """The operator for images of ``shape`` = (C, H, W)."""
        mask = torch.ones(shape, dtype=dtype)
        top, left = ((length - self.side) // 2 for length in shape[1:])
        mask[:, top : top + self.side, left : left + self.side] = 0
        return _masked(mask, device)


@dataclass(frozen=True, slots=True)
class InpaintRandom:
    """Inpainting: a random share ``lost`` of the pixels is lost, all channels of a pixel together."""

    lost: float
    seed: int = 1234

    def __call__(self, shape: tuple[int, int, int], device: str, dtype: torch.dtype) -> LinearPhysics:
        """The operator for images of ``shape`` = (C, H, W)."""
        uniform = torch.rand(shape[1:], generator=torch.Generator().manual_seed(self.seed))
        return _masked((uniform >= self.lost).to(dtype).expand(shape), device)


@dataclass(frozen=True, slots=True)
class GaussianBlur:
    """Deconvolution: circular convolution with a Gaussian of standard deviation ``width`` in pixels."""

    width: float

    def __call__(self, shape: tuple[int, int, int], device: str, dtype: torch.dtype) -> LinearPhysics:
        """The operator for images of ``shape`` = (C, H, W)."""
        kernel = gaussian_blur(sigma=self.width).to(dtype)
        return BlurFFT(img_size=shape, filter=kernel, device=device)


def _masked(mask: Tensor, device: str) -> LinearPhysics:
    # deepinv annotates the first argument as int, but documents (C, H, W).
    return Inpainting(tuple(mask.shape), mask=mask, device=device)  # pyright: ignore[reportArgumentType]


Operator = Denoise | InpaintCentre | InpaintRandom | GaussianBlur


def problem(operator: Operator, aware: bool, like: Tensor) -> Problem:
    """The problem for images of the shape, device and dtype of ``like``."""
    _, C, H, W = like.shape
    physics: Callable[[tuple[int, int, int], str, torch.dtype], LinearPhysics] = operator
    names = {Denoise: "denoising", GaussianBlur: "deconvolution"}
    name = names.get(type(operator), "inpainting")
    return Problem(name, physics((C, H, W), str(like.device), like.dtype), aware)
