"""2.3: the streamed estimators are their definitions.

On 8 × 8 pixels and 12 images, against dense matrices and explicit loops (``brute_force.py``): MMSE, E-MMSE, and LE-MMSE
for B = I, B a mask (the authors' rule: of the training patches whose range contains v, those of least rank; here:
those with the same local pattern of the mask) and B an inverse convolution. ``S = Q_n Q_nᵀ`` does not depend on n
for a convolution. A patch that is lost altogether gets the mean over such patches where B is the mask, and noise
where B = I. With P = size and an invertible B, aware, agnostic and E-MMSE are one.

Mark: the rules were read in the authors' code; that the two rules for masks agree almost surely is derived.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ....experiment import Experiment, Mark, Row, at_least, at_most, near
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


def _measure(setting: Setting) -> Sequence[Row]:
    """The rows."""
    train = _images(setting, SIZE)
    _measure = [row for operator, aware in OPERATORS for row in _local(setting, train, operator, aware)]
    fine = _measured(setting, train, problem(Denoise(), False, train), 0.02)
    found = estimators.local(fine, train, problem(Denoise(), False, train), 0.02, P).x
    wanted = brute_force.dense_local(fine, train, problem(Denoise(), False, train), 0.02, P)[0]
    _measure.append(at_most("denoising, σ = 0.02: |x̂ − definition|", _apart(found, wanted), 1e-10))
    blurred = problem(GaussianBlur(0.6), False, train)
    # In less noise a single image has all the weight.
    y = _measured(setting, train, blurred, 1.5)
    free = problem(Denoise(), False, train)
    z = _measured(setting, train, free, 1.5)
    _measure += [
        at_most(
            "MMSE",
            _apart(estimators.mmse(y, train, blurred, 1.5), brute_force.dense_mmse(y, train, blurred, 1.5)),
            1e-12,
        ),
        at_most(
            "E-MMSE",
            _apart(
                estimators.equivariant(z, train, free, 1.5),
                brute_force.dense_equivariant(z, train, free, 1.5),
            ),
            1e-12,
        ),
        *_masks(setting, train),
        at_most("deconvolution: |S_n − S_0|", _spread(problem(GaussianBlur(0.6), True, train), train), 1e-12),
        *_one(setting),
    ]
    return _measure


def _negative_control(setting: Setting) -> Sequence[Row]:
    """Aware and agnostic are one for a small P too."""
    train = _images(setting, SIZE)
    blind, aware = (problem(GaussianBlur(0.6), knows, train) for knows in (False, True))
    y = _measured(setting, train, blind, 0.3)
    apart = estimators.local(y, train, blind, 0.3, P).x - estimators.local(y, train, aware, 0.3, P).x
    return [at_most("P < size: |aware − agnostic|", float(apart.abs().max()), 1e-10)]


def _images(setting: Setting, size: int) -> Tensor:
    images = evaluation.grey(setting).train
    edge = (images.shape[-1] - size) // 2
    return images[:COUNT, :1, edge : edge + size, edge : edge + size].contiguous()


def _measured(setting: Setting, train: Tensor, asked: Problem, sigma: float) -> Tensor:
    """The first image."""
    return asked.measure(
        train[:1], evaluation.noise(train[:1].shape, setting.seed + 1, setting.device), sigma
    )


def _apart(found: Tensor, wanted: object) -> float:
    return float((found.flatten().cpu() - torch.as_tensor(wanted)).abs().max())


def _local(setting: Setting, train: Tensor, operator: Operator, aware: bool) -> list[Row]:
    asked = problem(operator, aware, train)
    y = _measured(setting, train, asked, 0.3)
    found = estimators.local(y, train, asked, 0.3, P)
    wanted, density = brute_force.dense_local(y, train, asked, 0.3, P)
    return [
        at_most(
            f"LE-MMSE, {asked.label} ({_kind(operator)}): |x̂ − definition|", _apart(found.x, wanted), 1e-10
        ),
        at_most(
            f"LE-MMSE, {asked.label} ({_kind(operator)}): |log p − definition|",
            _apart(found.log_density, density),
            1e-8,
        ),
    ]


def _kind(operator: Operator) -> str:
    return "random" if isinstance(operator, InpaintRandom) else "8×8"


def _masks(setting: Setting, train: Tensor) -> list[Row]:
    """Of patches that are lost altogether: those P // 2 pixels and more inside the square."""
    blind, aware = (problem(InpaintCentre(LOST), knows, train) for knows in (False, True))
    y = _measured(setting, train, blind, 0.3)
    inner = slice((SIZE - LOST) // 2 + P // 2, (SIZE + LOST) // 2 - P // 2)
    constant = train[..., inner, inner].mean()
    informed = estimators.local(y, train, aware, 0.3, P).x[..., inner, inner]
    guessed = estimators.local(y, train, blind, 0.3, P).x[..., inner, inner]
    drawn = aware.measure(train, evaluation.noise(train.shape, setting.seed, setting.device), 0.3)[
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
        near("noise on lost pixels: standard deviation over σ", float(drawn.std()) / 0.3, 1, 0.41),
    ]


def _spread(asked: Problem, train: Tensor) -> float:
    _, S = estimators.covariance(asked, train[:1], P)
    return float((S - S[:1]).abs().max())


def _one(setting: Setting) -> list[Row]:
    """P = size, which must be odd."""
    train = _images(setting, 7)
    blind, aware = (problem(GaussianBlur(0.6), knows, train) for knows in (False, True))
    y = _measured(setting, train, blind, 1.5)
    wanted = estimators.equivariant(y, train, blind, 1.5)
    found = [(asked, estimators.local(y, train, asked, 1.5, 7).x) for asked in (blind, aware)]
    return [
        at_most(f"P = size, {asked.label}: |LE − E-MMSE|", float((x - wanted).abs().max()), 1e-10)
        for asked, x in found
    ]


EXPERIMENT = Experiment(
    id="2.3",
    statement="streamed MMSE, E-MMSE and LE-MMSE = their definitions, for B = I, a mask, an inverse convolution",
    source="arXiv 2601.10334, code; derived",
    assumptions="float64; Q_n of one stratum equal up to rotation",
    mark=Mark.READ,
    measure=_measure,
    too_strong=_negative_control,
    twin="Physics-aware = physics-agnostic for P < size too",
    outside=evaluation.missing_images,
)
