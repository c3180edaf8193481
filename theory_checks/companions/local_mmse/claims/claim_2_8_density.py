"""2.8: networks are furthest from LE-MMSE at rare patches.

Spearman's correlation of ``|N − LE|²`` and ``−log p(patch)`` over all pixels of noisy images is above 0.1.
Reported, not asserted: how the match changes with the number of training images and with σ.

Evidence: read (the paper reports the trend); the threshold is the specification's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from scipy.stats import spearmanr
from torch import Tensor

from ....engine import Evidence, Experiment, Measurement, at_least, between, reported
from ..simulation import evaluation, psnr_matches
from ..simulation.settings import Setting


def _measure(setting: Setting) -> Sequence[Measurement]:
    """The asserted and reported rows."""
    _measure = [
        at_least(f"Spearman's correlation, {split} images", _correlation(setting, split), 0.1)
        for split in psnr_matches.SPLITS
    ]
    for case in setting.by_size:
        match = psnr_matches.match(setting, case, "test", setting.sigma, (case.P,))
        _measure.append(reported(f"{case.images} training images, test: PSNR(N, LE) (dB)", match.own))
    for sigma in setting.by_level.sigmas:
        match = psnr_matches.match(setting, setting.by_level, "test", sigma, (setting.by_level.P,))
        _measure.append(reported(f"network of all levels, σ = {sigma:g}, test: PSNR(N, LE) (dB)", match.own))
    return _measure


def _negative_control(setting: Setting) -> Sequence[Measurement]:
    """Claim that the error does not depend on the density."""
    return [
        between(f"Spearman's correlation, {split} images", _correlation(setting, split), -0.1, 0.1)
        for split in psnr_matches.SPLITS
    ]


def rarity_and_error(setting: Setting, split: str) -> tuple[Tensor, Tensor]:
    """``−log p`` and ``|N − LE|²`` of every pixel for the first network, ``(B·H·W,)``, on the CPU."""
    case = setting.cases[0]
    LE = evaluation.local_estimate(setting, case.operator, case.aware, split, setting.sigma, case.P)
    error = (evaluation.network_output(setting, case, split, setting.sigma) - LE.x).square().sum(1)
    return -LE.log_density.flatten().cpu(), error.flatten().cpu()


def _correlation(setting: Setting, split: str) -> float:
    """Spearman's correlation over the pixels of a split."""
    rarity, error = rarity_and_error(setting, split)
    rho, _ = spearmanr(rarity.numpy(), error.numpy())
    return float(cast(float, rho))


EXPERIMENT = Experiment(
    id="2.8",
    statement="Spearman(|N − LE|², −log p) > 0.1",
    source="arXiv 2601.10334",
    assumptions="denoising; the first network of the setting",
    evidence=Evidence.READ,
    measure=_measure,
    negative_control=_negative_control,
    false_statement="|Spearman| ≤ 0.1",
    outside=evaluation.missing_images,
)
