"""2.2: the limits in which LE-MMSE is something known.

P = the (odd) size of the image: the equivariant MMSE. σ → 0 with y a training image: that image, with error at most
``2σ√(2 ln K)`` for K training patches. σ → ∞: the mean of all pixels. P = 1: the posterior mean of a scalar. Every
training image twice: no change.

Derivation of the bound: a patch at distance d has weight at most ``e^{−d²/2σ²}`` and a centre at most d off. Patches
with ``d ≤ t = σ√(2 ln K)`` contribute at most t; the K others at most ``K t e^{−t²/2σ²} = t``, for ``d
e^{−d²/2σ²}`` falls beyond σ.

Mark: derived.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ....experiment import Experiment, Mark, Row, at_most
from ..simulation import estimators, evaluation
from ..simulation.problems import Denoise, problem
from ..simulation.settings import Setting

SIZE, COUNT, P = 7, 12, 5


def _measure(setting: Setting) -> Sequence[Row]:
    """The rows."""
    train, y = _seen(setting, evaluation.grey(setting).train)
    free = problem(Denoise(), False, y)
    whole = estimators.local(y, train, free, 1.5, SIZE).x - estimators.equivariant(y, train, free, 1.5)
    once = estimators.local(y, train, free, 0.3, P).x
    twice = estimators.local(y, torch.cat([train, train]), free, 0.3, P).x
    # Distances between patches are at most P, so no weight is further than this from uniform.
    spread = 2 * P**2 / 2e4**2
    far = estimators.local(train[:1], train, free, 2e4, P).x - train.mean()
    return [
        at_most("P = size: |LE − E-MMSE|", float(whole.abs().max()), 1e-12),
        *_to_zero(train, train[:1]),
        at_most("σ = 20 000: |x̂ − mean|", float(far.abs().max()), 2 * spread),
        at_most("P = 1: |x̂ − scalar posterior mean|", _scalar(train, y), 1e-12),
        at_most("every training image twice: |change|", float((twice - once).abs().max()), 1e-12),
    ]


def _negative_control(setting: Setting) -> Sequence[Row]:
    """That σ → 0 returns any image, not only those of the training set."""
    train, _ = _seen(setting, evaluation.grey(setting).train)
    other, _ = _seen(setting, evaluation.grey(setting).test)
    return _to_zero(train, other[:1])


def _seen(setting: Setting, images: Tensor) -> tuple[Tensor, Tensor]:
    """The middles of some images, of odd size, and one of them in noise."""
    edge = (images.shape[-1] - SIZE) // 2
    x = images[:COUNT, :1, edge : edge + SIZE, edge : edge + SIZE].contiguous()
    return x, x[:1] + 0.3 * evaluation.noise(x[:1].shape, setting.seed, setting.device)


def _to_zero(train: Tensor, y: Tensor) -> list[Row]:
    free = problem(Denoise(), False, y)
    bound = 2 * math.sqrt(2 * math.log(len(train) * SIZE**2))
    errors = {sigma: estimators.local(y, train, free, sigma, P).x - y for sigma in (1e-2, 1e-3, 1e-4)}
    return [
        at_most(f"σ = {sigma:g}, y a clean image: |x̂ − y|", float(error.abs().max()), bound * sigma)
        for sigma, error in errors.items()
    ]


def _scalar(train: Tensor, y: Tensor) -> float:
    values = train.flatten()
    weights = (-(y.flatten()[:, None] - values).square() / (2 * 0.3**2)).softmax(1)
    found = estimators.local(y, train, problem(Denoise(), False, y), 0.3, 1).x
    return float((found.flatten() - weights @ values).abs().max())


EXPERIMENT = Experiment(
    id="2.2",
    statement="P = size: E-MMSE; σ → 0: the training image; σ → ∞: the mean; P = 1: scalar; duplicates: no change",
    source="derived",
    assumptions="A = B = I; torus; values in [0, 1]",
    mark=Mark.DERIVED,
    measure=_measure,
    too_strong=_negative_control,
    twin="σ → 0 returns images that are not in the training set too",
    outside=evaluation.missing_images,
)
