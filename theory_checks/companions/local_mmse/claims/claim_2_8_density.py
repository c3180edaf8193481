"""2.8: networks are furthest from LE-MMSE where patches are rare.

Spearman's correlation of ``|N − LE|²`` and ``−log p(patch)`` over all pixels of noisy images is above 0.1.
Reported, not asserted: how the match changes with the number of training images and with σ.

Mark: read (the paper reports the trend); the threshold is the specification's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from scipy.stats import spearmanr
from torch import Tensor

from ....experiment import Experiment, Mark, Row, at_least, between, reported
from ..simulation import evaluation, psnr_matches
from ..simulation.settings import Setting


def measure(at: Setting) -> Sequence[Row]:
    """The rows."""
    rows = [
        at_least(f"Spearman's correlation, {split} images", correlation(at, split), 0.1)
        for split in psnr_matches.SPLITS
    ]
    for case in at.by_size:
        found = psnr_matches.match(at, case, "test", at.sigma, (case.P,))
        rows.append(reported(f"{case.images} training images, test: PSNR(N, LE) (dB)", found.own))
    for sigma in at.by_level.sigmas:
        found = psnr_matches.match(at, at.by_level, "test", sigma, (at.by_level.P,))
        rows.append(reported(f"network of all levels, σ = {sigma:g}, test: PSNR(N, LE) (dB)", found.own))
    return rows


def too_strong(at: Setting) -> Sequence[Row]:
    """The error has nothing to do with the density."""
    return [
        between(f"Spearman's correlation, {split} images", correlation(at, split), -0.1, 0.1)
        for split in psnr_matches.SPLITS
    ]


def points(at: Setting, split: str) -> tuple[Tensor, Tensor]:
    """``−log p`` and ``|N − LE|²`` of every pixel for the first network, ``(B·H·W,)``, on the CPU."""
    case = at.cases[0]
    LE = evaluation.estimate(at, case.operator, case.aware, split, at.sigma, case.P)
    apart = (evaluation.restored(at, case, split, at.sigma) - LE.x).square().sum(1)
    return -LE.log_density.flatten().cpu(), apart.flatten().cpu()


def correlation(at: Setting, split: str) -> float:
    """Spearman's, over the pixels of a split."""
    rarity, apart = points(at, split)
    rho, _ = spearmanr(rarity.numpy(), apart.numpy())
    return float(cast(float, rho))


EXPERIMENT = Experiment(
    id="2.8",
    statement="Spearman(|N − LE|², −log p) > 0.1",
    source="arXiv 2601.10334",
    assumptions="denoising; the first network of the setting",
    mark=Mark.READ,
    measure=measure,
    too_strong=too_strong,
    twin="|Spearman| ≤ 0.1",
    outside=evaluation.outside,
)
