"""2.6: trained networks compute LE-MMSE.

For denoising, inpainting and deconvolution, on noisy images of the training set and of the test set, with peak 1:
``PSNR(N_P, LE_P) ≥ 25 dB``, at least 5 dB above PSNR(N_P, MMSE), and at least 3 dB above PSNR(N_P, LE_P') for every
other P' among those of the setting. Networks are trained by squared error alone, in float32.

Evidence: read (the paper's claim); the thresholds are the specification's, fixed beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....engine import Evidence, Experiment, Measurement, at_least
from ..simulation import evaluation
from ..simulation.psnr_matches import Match, matches
from ..simulation.settings import Setting


def _measure(setting: Setting) -> Sequence[Measurement]:
    """The asserted and reported rows."""
    return [row for match in matches(setting) for row in _rows(match)]


def _negative_control(setting: Setting) -> Sequence[Measurement]:
    """Claim that networks compute the unconstrained MMSE."""
    return [at_least(f"{_name(match)}: PSNR(N, MMSE) (dB)", match.mmse, 25) for match in matches(setting)]


def _name(match: Match) -> str:
    return f"{match.label}, {match.case.architecture.name}, P = {match.case.P}, {match.split}"


def _rows(match: Match) -> list[Measurement]:
    name = _name(match)
    return [
        at_least(f"{name}: PSNR(N, LE) (dB)", match.own, 25),
        at_least(f"{name}: above PSNR(N, MMSE) by (dB)", match.own - match.mmse, 5),
        at_least(f"{name}: above every other P′ by (dB)", match.lead, 3),
    ]


EXPERIMENT = Experiment(
    id="2.6",
    statement="PSNR(N_P, LE_P) ≥ 25 dB, ≥ PSNR(N_P, MMSE) + 5 dB, ≥ PSNR(N_P, LE_P′) + 3 dB",
    source="arXiv 2601.10334",
    assumptions="receptive field exactly P; trained to near the minimum",
    evidence=Evidence.READ,
    measure=_measure,
    negative_control=_negative_control,
    false_statement="PSNR(N, MMSE) ≥ 25 dB",
    outside=evaluation.missing_images,
)
