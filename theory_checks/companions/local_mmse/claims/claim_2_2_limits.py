"""2.2: limits in which LE-MMSE is known.

P = the (odd) size of the image: the equivariant MMSE. σ → 0 with y a training image: that image, with error at most
``2σ√(2 ln K)`` for K training patches. σ → ∞: the mean of all pixels. P = 1: the posterior mean of a scalar. Every
training image twice: no change.

Derivation of the bound: a patch at distance d has weight at most ``e^{−d²/2σ²}`` and a centre at most d off. Patches
with ``d ≤ t = σ√(2 ln K)`` contribute at most t; the K others at most ``K t e^{−t²/2σ²} = t``, for ``d
e^{−d²/2σ²}`` falls beyond σ.

Evidence: derived.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ....engine import Evidence, Experiment, Measurement, at_most
from ..simulation import estimators, evaluation
from ..simulation.problems import Denoise, problem
from ..simulation.settings import Setting

SIZE, COUNT, P = 7, 12, 5


def _measure(setting: Setting) -> Sequence[Measurement]:
    """The asserted and reported rows."""
    train, y = _images(setting, evaluation.grey(setting).train)
    denoising = problem(Denoise(), False, y)
    whole = estimators.local(y, train, denoising, 1.5, SIZE).x - estimators.equivariant(
        y, train, denoising, 1.5
    )
    once = estimators.local(y, train, denoising, 0.3, P).x
    twice = estimators.local(y, torch.cat([train, train]), denoising, 0.3, P).x
    # Patches are at most P apart, so that no weight differs from uniform by more than this.
    spread = 2 * P**2 / 2e4**2
    far = estimators.local(train[:1], train, denoising, 2e4, P).x - train.mean()
    return [
        at_most("P = size: |LE − E-MMSE|", float(whole.abs().max()), 1e-12),
        *_to_zero(train, train[:1]),
        at_most("σ = 20 000: |x̂ − mean|", float(far.abs().max()), 2 * spread),
        at_most("P = 1: |x̂ − scalar posterior mean|", _scalar(train, y), 1e-12),
        at_most("every training image twice: |change|", float((twice - once).abs().max()), 1e-12),
    ]


def _negative_control(setting: Setting) -> Sequence[Measurement]:
    """Claim that σ → 0 returns any image, not only those of the training set."""
    train, _ = _images(setting, evaluation.grey(setting).train)
    other, _ = _images(setting, evaluation.grey(setting).test)
    return _to_zero(train, other[:1])


def _images(setting: Setting, images: Tensor) -> tuple[Tensor, Tensor]:
    """The centres of some images, of odd size, and the first of them with noise."""
    edge = (images.shape[-1] - SIZE) // 2
    x = images[:COUNT, :1, edge : edge + SIZE, edge : edge + SIZE].contiguous()
    return x, x[:1] + 0.3 * evaluation.noise(x[:1].shape, setting.seed, setting.device)


def _to_zero(train: Tensor, y: Tensor) -> list[Measurement]:
    denoising = problem(Denoise(), False, y)
    bound = 2 * math.sqrt(2 * math.log(len(train) * SIZE**2))
    errors = {sigma: estimators.local(y, train, denoising, sigma, P).x - y for sigma in (1e-2, 1e-3, 1e-4)}
    return [
        at_most(f"σ = {sigma:g}, y a clean image: |x̂ − y|", float(error.abs().max()), bound * sigma)
        for sigma, error in errors.items()
    ]


def _scalar(train: Tensor, y: Tensor) -> float:
    values = train.flatten()
    weights = (-(y.flatten()[:, None] - values).square() / (2 * 0.3**2)).softmax(1)
    estimate = estimators.local(y, train, problem(Denoise(), False, y), 0.3, 1).x
    return float((estimate.flatten() - weights @ values).abs().max())


EXPERIMENT = Experiment(
    id="2.2",
    statement="P = size: E-MMSE; σ → 0: the training image; σ → ∞: the mean; P = 1: scalar; duplicates: no change",
    source="derived",
    assumptions="A = B = I; torus; values in [0, 1]",
    evidence=Evidence.DERIVED,
    measure=_measure,
    negative_control=_negative_control,
    false_statement="σ → 0 returns images that are not in the training set too",
    outside=evaluation.missing_images,
)
