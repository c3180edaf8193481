"""2.3: the streamed estimators agree with their definitions.

On 8 × 8 pixels and 12 images, against dense matrices and explicit loops (``brute_force.py``): MMSE, E-MMSE, and LE-MMSE
for B = I, B a mask (the authors' rule: of the training patches whose range contains v, those of least rank; here:
those with the same local pattern of the mask) and B an inverse convolution. ``S = Q_n Q_nᵀ`` does not depend on n
for a convolution. A patch that is lost completely gets the mean over such patches if B is the mask, and depends on
noise if B = I. With P = size and an invertible B, the aware and agnostic estimators and E-MMSE are equal.

Evidence: the rules were read in the authors' code; that the two rules for masks agree almost surely is derived.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ....engine import Evidence, Experiment, Measurement, at_least, at_most, near
from ..simulation import brute_force, estimators, evaluation
from ..simulation.problems import (
    Denoise,
    GaussianBlur,
    InpaintCentre,
    InpaintRandom,
    Operator,
    Problem,
    problem,
)
from ..simulation.settings import Setting

SIZE, COUNT, P, LOST = 8, 12, 3, 4
OPERATORS: tuple[tuple[Operator, bool], ...] = (
    (Denoise(), False),
    (InpaintCentre(LOST), False),
    (InpaintCentre(LOST), True),
    (InpaintRandom(0.3), True),
    (GaussianBlur(0.6), False),
    (GaussianBlur(0.6), True),
)


def _measure(setting: Setting) -> Sequence[Measurement]:
    """The asserted and reported rows."""
    train = _images(setting, SIZE)
    _measure = [row for operator, aware in OPERATORS for row in _local(setting, train, operator, aware)]
    fine = _measurements(setting, train, problem(Denoise(), False, train), 0.02)
    estimate = estimators.local(fine, train, problem(Denoise(), False, train), 0.02, P).x
    definition = brute_force.dense_local(fine, train, problem(Denoise(), False, train), 0.02, P)[0]
    _measure.append(at_most("denoising, σ = 0.02: |x̂ − definition|", _distance(estimate, definition), 1e-10))
    blurred = problem(GaussianBlur(0.6), False, train)
    # With less noise a single image would have all the weight.
    y = _measurements(setting, train, blurred, 1.5)
    denoising = problem(Denoise(), False, train)
    z = _measurements(setting, train, denoising, 1.5)
    _measure += [
        at_most(
            "MMSE",
            _distance(
                estimators.mmse(y, train, blurred, 1.5), brute_force.dense_mmse(y, train, blurred, 1.5)
            ),
            1e-12,
        ),
        at_most(
            "E-MMSE",
            _distance(
                estimators.equivariant(z, train, denoising, 1.5),
                brute_force.dense_equivariant(z, train, denoising, 1.5),
            ),
            1e-12,
        ),
        *_masks(setting, train),
        at_most("deconvolution: |S_n − S_0|", _spread(problem(GaussianBlur(0.6), True, train), train), 1e-12),
        *_one(setting),
    ]
    return _measure


def _negative_control(setting: Setting) -> Sequence[Measurement]:
    """Claim that the aware and agnostic estimators are equal for a small P too."""
    train = _images(setting, SIZE)
    blind, aware = (problem(GaussianBlur(0.6), awareness, train) for awareness in (False, True))
    y = _measurements(setting, train, blind, 0.3)
    apart = estimators.local(y, train, blind, 0.3, P).x - estimators.local(y, train, aware, 0.3, P).x
    return [at_most("P < size: |aware − agnostic|", float(apart.abs().max()), 1e-10)]


def _images(setting: Setting, size: int) -> Tensor:
    images = evaluation.grey(setting).train
    edge = (images.shape[-1] - size) // 2
    return images[:COUNT, :1, edge : edge + size, edge : edge + size].contiguous()


def _measurements(setting: Setting, train: Tensor, task: Problem, sigma: float) -> Tensor:
    """The first image."""
    return task.measure(train[:1], evaluation.noise(train[:1].shape, setting.seed + 1, setting.device), sigma)


def _distance(estimate: Tensor, definition: object) -> float:
    return float((estimate.flatten().cpu() - torch.as_tensor(definition)).abs().max())


def _local(setting: Setting, train: Tensor, operator: Operator, aware: bool) -> list[Measurement]:
    task = problem(operator, aware, train)
    y = _measurements(setting, train, task, 0.3)
    estimate = estimators.local(y, train, task, 0.3, P)
    definition, density = brute_force.dense_local(y, train, task, 0.3, P)
    return [
        at_most(
            f"LE-MMSE, {task.label} ({_kind(operator)}): |x̂ − definition|",
            _distance(estimate.x, definition),
            1e-10,
        ),
        at_most(
            f"LE-MMSE, {task.label} ({_kind(operator)}): |log p − definition|",
            _distance(estimate.log_density, density),
            1e-8,
        ),
    ]


def _kind(operator: Operator) -> str:
    return "random" if isinstance(operator, InpaintRandom) else "8×8"


def _masks(setting: Setting, train: Tensor) -> list[Measurement]:
    """Estimates at pixels whose patch is lost completely: at least P // 2 pixels inside the square."""
    blind, aware = (problem(InpaintCentre(LOST), awareness, train) for awareness in (False, True))
    y = _measurements(setting, train, blind, 0.3)
    inner = slice((SIZE - LOST) // 2 + P // 2, (SIZE + LOST) // 2 - P // 2)
    constant = train[..., inner, inner].mean()
    informed = estimators.local(y, train, aware, 0.3, P).x[..., inner, inner]
    guessed = estimators.local(y, train, blind, 0.3, P).x[..., inner, inner]
    noisy = aware.measure(train, evaluation.noise(train.shape, setting.seed, setting.device), 0.3)[
        ..., inner, inner
    ]
    return [
        at_most(
            "aware, patch lost altogether: |x̂ − mean of such|",
            float((informed - constant).abs().max()),
            1e-12,
        ),
        at_least(
            "agnostic, patch lost altogether: |x̂ − that mean|", float((guessed - constant).abs().max()), 1e-3
        ),
        # 48 draws: four standard deviations of a sample standard deviation are 0.41.
        near("noise on lost pixels: standard deviation over σ", float(noisy.std()) / 0.3, 1, 0.41),
    ]


def _spread(task: Problem, train: Tensor) -> float:
    _, S = estimators.covariance(task, train[:1], P)
    return float((S - S[:1]).abs().max())


def _one(setting: Setting) -> list[Measurement]:
    """P = size, which must be odd, with an invertible B."""
    train = _images(setting, 7)
    blind, aware = (problem(GaussianBlur(0.6), awareness, train) for awareness in (False, True))
    y = _measurements(setting, train, blind, 1.5)
    definition = estimators.equivariant(y, train, blind, 1.5)
    estimate = [(task, estimators.local(y, train, task, 1.5, 7).x) for task in (blind, aware)]
    return [
        at_most(f"P = size, {task.label}: |LE − E-MMSE|", float((x - definition).abs().max()), 1e-10)
        for task, x in estimate
    ]


EXPERIMENT = Experiment(
    id="2.3",
    statement="streamed MMSE, E-MMSE and LE-MMSE = their definitions, for B = I, a mask, an inverse convolution",
    source="arXiv 2601.10334, code; derived",
    assumptions="float64; Q_n of one stratum equal up to rotation",
    evidence=Evidence.READ,
    measure=_measure,
    negative_control=_negative_control,
    false_statement="Physics-aware = physics-agnostic for P < size too",
    outside=evaluation.missing_images,
)
