"""2.4: the error of LE-MMSE is orthogonal to every estimator of its class.

``E Σ_n (x̂ − x)[n] ψ(Π_n B y) = 0`` for every ψ, with x uniform on the training set: the normal equations of a
least-squares problem over functions of a patch. Tested for 16 random features ``ψ(v) = tanh(⟨a, v⟩ + b)``, as standard
scores z: images are fixed, noise is drawn in antithetic pairs, and only the variance within an image counts
(stratified). The features are decorrelated first: all see the same noise, and 16 correlated z are worth two or three
independent ones. The MMSE passes too; only with locality and equivariance (2.1) does this determine the estimator.

Evidence: derived. The windows for the root mean square and the largest |z| are those of the specification.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from ....engine import Evidence, Experiment, Measurement, at_most, between
from ..simulation import estimators, evaluation
from ..simulation.problems import Denoise, GaussianBlur, InpaintCentre, Operator, problem
from ..simulation.settings import Setting

P, SIGMA, FEATURES = 5, 0.6, 16
OPERATORS: tuple[tuple[Operator, bool], ...] = (
    (Denoise(), False),
    (InpaintCentre(4), False),
    (InpaintCentre(4), True),
    (GaussianBlur(0.7), True),
)


def _measure(setting: Setting) -> Sequence[Measurement]:
    """The asserted and reported rows."""
    _measure = []
    for operator, aware in OPERATORS:
        name = problem(operator, aware, _images(setting)).label
        _measure += _rows(name, _scores(setting, operator, aware, P))
        _measure.append(at_most(f"{name}: |z| of ψ = x̂ itself", abs(_own_score(setting, operator, aware)), 4))
    return _measure


def _negative_control(setting: Setting) -> Sequence[Measurement]:
    """Claim orthogonality to functions of a larger patch too."""
    return _rows(f"denoising, features of {P + 4}×{P + 4}", _scores(setting, Denoise(), False, P + 4))


def _images(setting: Setting) -> Tensor:
    return evaluation.images(setting).train[: setting.score_images]


def _rows(name: str, z: Tensor) -> list[Measurement]:
    return [
        between(f"{name}: root mean square of z", float(z.square().mean().sqrt()), 0.5, 1.6),
        at_most(f"{name}: largest |z|", float(z.abs().max()), 4),
    ]


@cache
def _estimates(setting: Setting, operator: Operator, aware: bool) -> tuple[Tensor, Tensor, Tensor]:
    """``B y``, ``x̂``, ``x̂ − x`` of every image and draw, ``(2·draws·images, C, H, W)``; the second half has −noise."""
    train = _images(setting)
    task = problem(operator, aware, train)
    half = evaluation.noise(
        torch.Size((setting.score_pairs, *train.shape)), setting.seed + 11, setting.device
    )
    y = torch.cat([task.measure(train, one, SIGMA) for one in torch.cat([half, -half])])
    # In parts, to bound memory: there are running sums for every pixel.
    x = torch.cat([estimators.local(part, train, task, SIGMA, P).x for part in y.split(64)])
    return task.observe(y), x, x - train.repeat(2 * setting.score_pairs, 1, 1, 1)


def _scores(setting: Setting, operator: Operator, aware: bool, window: int) -> Tensor:
    """z of random features of a ``window × window`` patch, decorrelated, ``(FEATURES,)``."""
    observed, _, error = _estimates(setting, operator, aware)
    rng = torch.Generator().manual_seed(setting.seed + 12)
    weights = (
        torch.randn(observed.shape[1] * window**2, FEATURES, generator=rng, dtype=torch.float64) / window
    )
    shift = torch.randn(FEATURES, generator=rng, dtype=torch.float64).to(observed.device)
    standard = (observed - observed.mean()) / observed.std()
    sums = [
        torch.einsum(
            "bnf,bn->bf", torch.tanh(_patches(z, window) @ weights.to(z.device) + shift), d.sum(1).flatten(1)
        )
        for z, d in zip(standard.split(64), error.split(64), strict=True)
    ]
    return _standardised(setting, torch.cat(sums))


def _own_score(setting: Setting, operator: Operator, aware: bool) -> float:
    """z of the estimate itself, which detects a wrong σ first."""
    _, x, error = _estimates(setting, operator, aware)
    return float(_standardised(setting, (x * error).flatten(1).sum(1, keepdim=True))[0])


def _patches(images: Tensor, window: int) -> Tensor:
    """Patches ``(B, H·W, C·window²)``, without ``patches.extract``, which is under test here."""
    offsets = range(-(window // 2), window // 2 + 1)
    moved = [torch.roll(images, (-i, -j), (-2, -1)) for i in offsets for j in offsets]
    return torch.cat(moved, 1).flatten(2).transpose(1, 2)


def _standardised(setting: Setting, sums: Tensor) -> Tensor:
    """Decorrelated standard scores ``(F,)`` of totals over images, from sums ``(2·draws·images, F)``."""
    # Axes: sign of the noise, draw, image, feature; the mean over signs makes a pair one draw.
    by_pair = sums.view(2, setting.score_pairs, -1, sums.shape[1]).mean(0)
    within = by_pair - by_pair.mean(0)
    covariance = torch.einsum("mif,mig->fg", within, within) / (
        setting.score_pairs * (setting.score_pairs - 1)
    )
    # Whitened by the Cholesky factor of the covariance, for all features see the same noise.
    root = torch.linalg.cholesky(covariance)
    return torch.linalg.solve_triangular(root, by_pair.mean(0).sum(0)[:, None], upper=False)[:, 0]


EXPERIMENT = Experiment(
    id="2.4",
    statement="E Σ_n (x̂ − x)[n] ψ(Π_n B y) = 0 for every ψ",
    source="derived",
    assumptions="x uniform on the training set",
    evidence=Evidence.DERIVED,
    measure=_measure,
    negative_control=_negative_control,
    false_statement="Orthogonal to functions of a larger patch too",
    outside=evaluation.missing_images,
)
