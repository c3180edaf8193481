"""A blurred, noisy crop of scikit-image's camera, fitted by deepinv's decoder: gradient descent, ISEHD, Adam.

The constants of the theory say nothing here (``µ`` is nearly 0), but its identities hold: the energy decreases for
every smooth generator, and the recovery bound holds since the blur is injective.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import skimage.data
import torch
from deepinv.loss.metric import PSNR
from deepinv.physics import Blur
from deepinv.physics.functional import gaussian_blur
from skimage.transform import downscale_local_mean
from torch import Tensor, nn

from . import decoder, discrete_schemes, matrix_free
from .activations import F64
from .decoder import Decoder
from .discrete_schemes import Inertia, Iteration
from .matrix_free import SpectrumEnds
from .problem import generator
from .settings import Setting

BLUR = 1.0
"""Standard deviation of the Gaussian blur, in pixels."""
ADAM = 1e-2
"""Learning rate of Adam: of 3e-3 and 1e-2 the one with the better image on a 32-pixel crop."""
TOP, LEFT = 48, 132
"""Corner of the crop in pixels of the photograph, moved if there is no room: the crop shows the head and the camera."""


@dataclass(frozen=True, slots=True)
class BlurredPhotograph:
    """The inverse problem.

    Attributes:
        physics: circular blur.
        truth, y: images, ``(1, 1, size, size)``.
        noise: ``|ε|``.
        weakest: the smallest singular value of the blur.
    """

    physics: Blur
    truth: Tensor
    y: Tensor
    noise: float
    weakest: float

    @property
    def measured_psnr(self) -> float:
        """PSNR of the measurements, in dB."""
        return float(PSNR()(self.y, self.truth))


@cache
def blurred_photograph(setting: Setting) -> BlurredPhotograph:
    """The crop, averaged over ``shrink × shrink`` pixels, blurred, with noise."""
    whole = downscale_local_mean(skimage.data.camera() / 255.0, (setting.shrink, setting.shrink))
    top, left = (min(p // setting.shrink, len(whole) - setting.crop) for p in (TOP, LEFT))
    truth = torch.from_numpy(whole[top : top + setting.crop, left : left + setting.crop].copy())[
        None, None
    ].to(F64)
    blur = Blur(filter=gaussian_blur(sigma=(BLUR, BLUR), dtype=F64), padding="circular")
    epsilon = setting.crop_noise * torch.randn(truth.shape, generator=generator(setting.seed), dtype=F64)
    y = blur.A(truth) + epsilon
    delta = torch.zeros_like(truth)
    delta[..., 0, 0] = 1
    weakest = float(torch.fft.fft2(blur.A(delta)).abs().min())
    physics = blur.to(setting.device)
    return BlurredPhotograph(
        physics, truth.to(setting.device), y.to(setting.device), float(epsilon.norm()), weakest
    )


@cache
def initial_decoder(setting: Setting, activation: type[nn.Module]) -> tuple[Decoder, Tensor]:
    """The decoder and its initial parameters."""
    return decoder.decoder(
        setting.crop, setting.channels, setting.layers, activation, setting.seed, setting.device
    )


def residual_of(setting: Setting, activation: type[nn.Module]) -> Callable[[Tensor], Tensor]:
    """The map ``θ ↦ A g(θ) − y``, flat."""
    of, (g, _) = blurred_photograph(setting), initial_decoder(setting, activation)
    return lambda theta: (of.physics.A(g.image(theta)) - of.y).flatten()


class _TapedPoint:
    """A point that keeps its autograd graph, so that its gradient needs no second forward pass."""

    def __init__(self, residual: Callable[[Tensor], Tensor], theta: Tensor) -> None:
        self._theta = theta.detach().requires_grad_()
        self._loss = residual(self._theta).square().sum() / 2
        self.loss = float(self._loss.detach())

    def gradient(self) -> Tensor:
        (g,) = torch.autograd.grad(self._loss, self._theta)
        return g


@dataclass(frozen=True, slots=True)
class PhotographRun:
    """A run of a method on the photograph.

    Attributes:
        method, activation: names of the method and the activation.
        d: damping; 0 for methods without inertia.
        residual: ``|r|/|ε|`` after each iteration.
        psnr: PSNR after each iteration, in dB.
        bound: the largest ``|x − x̄| σ_min(A) / (|r| + |ε|)``.
        energies: E at the start and after each iteration; nan without inertia.
        stop: iterations until ``|r| ≤ |ε|``; −1 if never.
        evaluations: number of evaluations of the loss, refused steps included.
        at_stop, at_end: images ``(size, size)`` at the stop and at the end, the same if there is no stop.
        theta_stop, theta_end: the parameters of these images.
    """

    method: str
    activation: str
    d: Inertia
    residual: list[float]
    psnr: list[float]
    bound: float
    energies: list[float]
    stop: int
    evaluations: int
    at_stop: Tensor
    at_end: Tensor
    theta_stop: Tensor
    theta_end: Tensor


Method = Callable[[discrete_schemes.Objective, Tensor, discrete_schemes.Callback], list[Iteration]]


def _run(
    setting: Setting, name: str, activation: type[nn.Module], d: Inertia, method: Method
) -> PhotographRun:
    of, (g, theta0) = blurred_photograph(setting), initial_decoder(setting, activation)
    residual = residual_of(setting, activation)
    measure, sizes, psnrs, errors = PSNR(), [], [], []
    stop, theta_stop, theta_end = -1, theta0, theta0

    def callback(k: int, theta: Tensor, s: Iteration) -> bool:
        nonlocal stop, theta_stop, theta_end
        with torch.no_grad():
            x = g.image(theta)
        sizes.append((2 * s.loss) ** 0.5 / of.noise)
        psnrs.append(float(measure(x, of.truth)))
        errors.append(float((x - of.truth).norm()))
        theta_end = theta.clone()
        if stop < 0:
            theta_stop = theta_end
            stop = k if sizes[-1] <= 1 else -1
        return not math.isfinite(s.loss)

    log = method(lambda theta: _TapedPoint(residual, theta), theta0, callback)
    bound = max(e * of.weakest / (of.noise * (r + 1)) for e, r in zip(errors, sizes, strict=True))
    with torch.no_grad():
        images = [g.image(theta)[0, 0].cpu() for theta in (theta_stop, theta_end)]
    return PhotographRun(
        name, activation.__name__, d, sizes, psnrs, bound, [s.energy for s in log], stop, log[-1].evaluations,
        images[0], images[1], theta_stop, theta_end,
    )  # fmt: skip


@cache
def spectrum(setting: Setting, activation: type[nn.Module]) -> SpectrumEnds:
    """The extreme eigenvalues of K at the start."""
    theta = initial_decoder(setting, activation)[1]
    return matrix_free.spectrum_ends(residual_of(setting, activation), theta, setting.crop**2, setting.ritz)


def isehd_run(setting: Setting, a: float, b: float, activation: type[nn.Module] = nn.Tanh) -> PhotographRun:
    """ISEHD with an adaptive step; a is α in units of √λ_max, b is β in units of 1/√λ_max."""
    root = spectrum(setting, activation).largest ** 0.5
    d = Inertia(a * root, b / root)
    return _run(
        setting,
        f"ISEHD α = {a:g}, β = {b:g}",
        activation,
        d,
        lambda f, theta, callback: discrete_schemes.isehd(
            f, theta, d, 1 / root, setting.iterations, callback, adaptive=True
        ),
    )


@cache
def descent_run(setting: Setting) -> PhotographRun:
    """Gradient descent, with a step adapted by the same rule."""
    h = 1 / spectrum(setting, nn.Tanh).largest
    return _run(
        setting,
        "gradient descent",
        nn.Tanh,
        Inertia(0.0),
        lambda f, theta, callback: discrete_schemes.gradient_descent(
            f, theta, h, setting.iterations, callback, adaptive=True
        ),
    )


@cache
def adam_run(setting: Setting) -> PhotographRun:
    """Adam with the learning rate ``ADAM``."""
    return _run(
        setting,
        f"Adam {ADAM:g}",
        nn.Tanh,
        Inertia(0.0),
        lambda f, theta, callback: discrete_schemes.adam(f, theta, ADAM, setting.iterations, callback),
    )


@cache
def tanh_runs(setting: Setting) -> list[PhotographRun]:
    """ISEHD with tanh, over the grid of dampings."""
    return [isehd_run(setting, a, b) for a in setting.crop_alphas for b in setting.crop_betas]


@cache
def relu_run(setting: Setting) -> PhotographRun:
    """ISEHD with ReLU, which the theory does not cover."""
    return isehd_run(setting, setting.crop_alphas[0], setting.crop_betas[-1], nn.ReLU)


def fastest(runs: list[PhotographRun]) -> PhotographRun:
    """The run that first reaches ``|r| ≤ |ε|``, or the one with the smallest residual if none does."""
    reached = [f for f in runs if f.stop > 0]
    return min(reached, key=lambda f: f.stop) if reached else min(runs, key=lambda f: f.residual[-1])


def iterations_until(f: PhotographRun, level: float) -> int:
    """Iterations until ``|r|/|ε| ≤ level``; −1 if never."""
    return next((k for k, size in enumerate(f.residual, 1) if size <= level), -1)


def speed_up(setting: Setting) -> float:
    """Iterations of gradient descent over those of the fastest ISEHD, to ``|ε|`` or to the last residual of descent."""
    slow, fast = descent_run(setting), fastest(tanh_runs(setting))
    level = max(1.0, min(slow.residual))
    a, b = iterations_until(slow, level), iterations_until(fast, level)
    return a / b if a > 0 and b > 0 else math.nan


@cache
def spectrum_during_run(setting: Setting) -> list[tuple[str, SpectrumEnds]]:
    """The extreme eigenvalues of K at the start, the stop and the end of the fastest run."""
    best, residual = fastest(tanh_runs(setting)), residual_of(setting, nn.Tanh)
    later = (("stop", best.theta_stop), ("end", best.theta_end))
    spectra = [
        (name, matrix_free.spectrum_ends(residual, theta, setting.crop**2, setting.ritz))
        for name, theta in later
    ]
    return [("start", spectrum(setting, nn.Tanh)), *spectra]
