"""2.7: the larger the class, the smaller the risk.

``R(MMSE) ≤ R(E-MMSE) ≤ R(LE_{P+2}) ≤ R(LE_P)`` on the training distribution, for denoising: each class contains the
next. Measured with the same noise for all; a difference may be negative by three standard errors.

Evidence: derived.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from ....engine import Evidence, Experiment, Measurement, at_least, at_most, reported
from ..simulation import evaluation, risks
from ..simulation.settings import Setting


def _measure(setting: Setting) -> Sequence[Measurement]:
    """The asserted and reported rows."""
    ladder = _ladder(setting)
    _measure = [
        at_least(f"R({worse}) − R({better})", gain, -3 * error)
        for better, worse, gain, error in _gains(setting, ladder)
    ]
    return _measure + [reported(f"R({name})", float(_risk(setting, x).mean())) for name, x in ladder]


def _negative_control(setting: Setting) -> Sequence[Measurement]:
    """Claim that the constraints cost nothing."""
    return [
        at_most(f"R({worse}) − R({better})", gain, 3 * error)
        for better, worse, gain, error in _gains(setting, _ladder(setting))
    ]


def _ladder(setting: Setting) -> list[tuple[str, Tensor]]:
    windows = sorted(setting.windows[:3], reverse=True)
    patches = [(f"LE, P = {P}", risks.local_estimates(setting, P)) for P in windows]
    return [
        ("MMSE", risks.mmse_estimates(setting)),
        ("E-MMSE", risks.equivariant_estimates(setting)),
        *patches,
    ]


def _risk(setting: Setting, estimate: Tensor) -> Tensor:
    _, x, _ = risks.noisy_images(setting)
    return risks.mean_product_by_image(setting, estimate - x, estimate - x)


def _gains(setting: Setting, ladder: list[tuple[str, Tensor]]) -> list[tuple[str, str, float, float]]:
    return [
        (better, worse, *risks.mean_and_error(_risk(setting, b) - _risk(setting, a)))
        for (better, a), (worse, b) in pairwise(ladder)
    ]


EXPERIMENT = Experiment(
    id="2.7",
    statement="R(MMSE) ≤ R(E-MMSE) ≤ R(LE_{P+2}) ≤ R(LE_P)",
    source="derived",
    assumptions="x uniform on the training set; A = B = I",
    evidence=Evidence.DERIVED,
    measure=_measure,
    negative_control=_negative_control,
    false_statement="R(MMSE) = R(E-MMSE) = R(LE)",
    outside=evaluation.missing_images,
)
