"""2.1: exact properties of LE-MMSE: local, equivariant, a convex combination, and a score (Tweedie).

With f the rule of a pixel and v its patch: ``x̂(T y) = T x̂(y)`` (B = I); a pixel outside the P × P patch changes
nothing, one inside does; ``min x ≤ f ≤ max x``; ``v_c + σ² ∂ log p/∂v_c = f(v)`` (Tweedie, A = B = I). The value does
not depend on the size of the chunks, nor the memory on the number of training images. The networks are of the same
class: they are equivariant, with a receptive field of exactly P × P. Identities are in float64, networks in float32.

Evidence: derived; that the authors' estimators and networks are of this class was read in their code.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bench.measurement.memory import peak_bytes

from ....engine import Evidence, Experiment, Measurement, at_most, near, zero
from ..simulation import estimators, evaluation, patches, psnr, training
from ..simulation.estimators import ChunkSizes
from ..simulation.networks import Architecture, FlatUNet, PatchPerceptron, Residual
from ..simulation.problems import Denoise, GaussianBlur, InpaintCentre, problem
from ..simulation.settings import Setting

P, SIGMA, COUNT = 5, 0.3, 12
ARCHITECTURES: tuple[Architecture, ...] = (PatchPerceptron(16, 2), Residual(8), FlatUNet(8))


def _measure(setting: Setting) -> Sequence[Measurement]:
    """The asserted and reported rows."""
    train, y = _images(setting)
    denoising = problem(Denoise(), False, y)
    x = estimators.local(y, train, denoising, SIGMA, P).x
    _measure = [
        at_most("chunks of other sizes: largest change", _chunks(train, y), 1e-12),
        at_most("equivariance, B = I: largest |x̂(Ty) − T x̂(y)|", _equivariance(train, y), 1e-12),
        at_most("equivariance, E-MMSE", _equivariant_mmse(train, y), 1e-12),
        *_locality(train, y),
        at_most(
            "outside [min x, max x]", max(float(train.min() - x.min()), float(x.max() - train.max())), 1e-12
        ),
        at_most("Tweedie: largest |v + σ² ∂log p/∂v − f(v)|", _tweedie(train, y), 1e-12),
        near("peak memory, 8 times the training images over once", _memory(train, y), 1, 0.02),
        near("PSNR of an error of 0.1 (dB)", psnr.psnr(x, x + 0.1), 20, 1e-4),
    ]
    return _measure + [row for architecture in ARCHITECTURES for row in _network(architecture, train)]


def _negative_control(setting: Setting) -> Sequence[Measurement]:
    """Claim equivariance in y although B is a mask, which does not move with y."""
    train, y = _images(setting)
    lost = problem(InpaintCentre(4), True, y)
    x = estimators.local(y, train, lost, SIGMA, P).x
    moved = estimators.local(patches.shifted(y, 2, 1), train, lost, SIGMA, P).x
    return [at_most("equivariance, B a mask", float((moved - patches.shifted(x, 2, 1)).abs().max()), 1e-12)]


def _images(setting: Setting) -> tuple[Tensor, Tensor]:
    train = evaluation.grey(setting).train[:COUNT]
    return train, train[:1] + SIGMA * evaluation.noise(train[:1].shape, setting.seed, setting.device)


def _chunks(train: Tensor, y: Tensor) -> float:
    worst = 0.0
    for operator, aware in ((Denoise(), False), (InpaintCentre(4), True), (GaussianBlur(0.7), True)):
        task = problem(operator, aware, y)
        # The nearest examples come last, so that a running maximum that is not updated would show.
        estimates = [
            estimators.local(y, train.flip(0), task, SIGMA, P, sizes).x
            for sizes in (ChunkSizes(COUNT, 10**6, 10**6), ChunkSizes(1, 7, 13), ChunkSizes(5, 64, 100))
        ]
        worst = max(worst, *(float((other - estimates[0]).abs().max()) for other in estimates[1:]))
    return worst


def _equivariance(train: Tensor, y: Tensor) -> float:
    denoising = problem(Denoise(), False, y)
    x = estimators.local(y, train, denoising, SIGMA, P).x
    moves = ((1, 0), (0, 1), (3, 5))
    return max(
        float(
            (estimators.local(patches.shifted(y, *g), train, denoising, SIGMA, P).x - patches.shifted(x, *g))
            .abs()
            .max()
        )
        for g in moves
    )


def _equivariant_mmse(train: Tensor, y: Tensor) -> float:
    denoising = problem(Denoise(), False, y)
    x = estimators.equivariant(y, train, denoising, SIGMA)
    moved = estimators.equivariant(patches.shifted(y, 3, 5), train, denoising, SIGMA)
    return float((moved - patches.shifted(x, 3, 5)).abs().max())


def _locality(train: Tensor, y: Tensor) -> list[Measurement]:
    """Which pixels of y change the estimate of pixel (0, 0), on a 9 × 9 corner of the images."""
    train, y = train[..., :9, :9], y[..., :9, :9]
    denoising = problem(Denoise(), False, y)
    bumps = 0.5 * torch.eye(81, dtype=y.dtype, device=y.device).view(-1, 1, 9, 9)
    answer = estimators.local(torch.cat([y, y + bumps]), train, denoising, 1.0, P).x[:, 0, 0, 0]
    # A tolerance, since the rows of a matrix product may be rounded differently; and σ = 1, since in little noise some
    # pixels hardly matter.
    return _support("LE-MMSE", ((answer[1:] - answer[0]).abs() > 1e-12).view(9, 9))


def _support(name: str, touched: Tensor, size: int = P) -> list[Measurement]:
    """Rows for the number of pixels outside the patch around (0, 0) that matter, and inside that do not."""
    inside = torch.zeros_like(touched)
    inside[:size, :size] = True
    inside = patches.shifted(inside, -(size // 2), -(size // 2))
    return [
        zero(f"{name}: pixels outside the {size}×{size} patch that matter", int((touched & ~inside).sum())),
        zero(f"{name}: pixels inside that do not", int((~touched & inside).sum())),
    ]


def _tweedie(train: Tensor, y: Tensor) -> float:
    y = y.clone().requires_grad_()
    estimate = estimators.local(y, train, problem(Denoise(), False, y), SIGMA, P)
    worst = 0.0
    for n in (0, 37, 62, y[0].numel() - 1):
        (slope,) = torch.autograd.grad(estimate.log_density[0, n], y, retain_graph=True)
        score = y.flatten()[n] + SIGMA**2 * slope.flatten()[n]
        worst = max(worst, float((score - estimate.x.flatten()[n]).detach().abs()))
    return worst


def _memory(train: Tensor, y: Tensor) -> float:
    denoising, sizes = problem(Denoise(), False, y), ChunkSizes(4, 64, 512)
    peaks = []
    # The first call also allocates buffers that the libraries of a device keep.
    for times in (1, 1, 8):
        many = train.repeat(times, 1, 1, 1)
        with torch.no_grad(), peak_bytes(y.device) as peak:
            estimators.local(y, many, denoising, SIGMA, P, sizes)
        peaks.append(peak.count)
    return peaks[2] / peaks[1]


def _network(architecture: Architecture, train: Tensor) -> list[Measurement]:
    """Receptive field and equivariance of an untrained network; a derivative is exactly 0 only if there is no path."""
    _measure = []
    images = train[:2].float()
    task = problem(Denoise(), False, images)
    for size in (5, 7):
        network = training.evaluation_mode(training.untrained_network(architecture, size, task, images, 0))
        z = images.clone().requires_grad_()
        level = z.new_full((len(z),), SIGMA)
        out = network(z, level)
        (slope,) = torch.autograd.grad(out[0, 0, 0, 0], z)
        # The other image of the batch must not matter either.
        touched = slope[0, 0] != 0
        _measure += _support(f"{architecture.name}, P = {size}", touched, size)
        _measure.append(
            zero(f"{architecture.name}, P = {size}: pixels of other images", int((slope[1] != 0).sum()))
        )
    moved = network(patches.shifted(images, 3, 5), level) - patches.shifted(out, 3, 5)
    _measure.append(
        at_most(f"{architecture.name}: equivariance, float32", float(moved.detach().abs().max()), 1e-5)
    )
    return _measure


EXPERIMENT = Experiment(
    id="2.1",
    statement="x̂(Ty) = Tx̂(y); local; convex; v + σ²∇log p(v) = f(v); chunks and memory do not matter",
    source="arXiv 2601.10334, code; derived",
    assumptions="A = I and B = I for Tweedie; torus",
    evidence=Evidence.DERIVED,
    measure=_measure,
    negative_control=_negative_control,
    false_statement="Equivariant in y although B is a mask",
    outside=evaluation.missing_images,
)
