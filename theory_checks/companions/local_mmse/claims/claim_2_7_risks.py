"""2.7: the larger the class, the smaller the risk.

``R(MMSE) ≤ R(E-MMSE) ≤ R(LE_{P+2}) ≤ R(LE_P)`` on the training distribution, for denoising: each class contains the
next. Measured with the same noise for all; a difference may be negative by three standard errors.

Mark: derived.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from ....experiment import Experiment, Mark, Row, at_least, at_most, reported
from ..simulation import evaluation, risks
from ..simulation.settings import Setting


def measure(at: Setting) -> Sequence[Row]:
    """The rows."""
    ladder = _ladder(at)
    rows = [
        at_least(f"R({worse}) − R({better})", gain, -3 * error)
        for better, worse, gain, error in _gains(at, ladder)
    ]
    return rows + [reported(f"R({name})", float(_risk(at, x).mean())) for name, x in ladder]


def too_strong(at: Setting) -> Sequence[Row]:
    """The constraint costs nothing."""
    return [
        at_most(f"R({worse}) − R({better})", gain, 3 * error)
        for better, worse, gain, error in _gains(at, _ladder(at))
    ]


def _ladder(at: Setting) -> list[tuple[str, Tensor]]:
    windows = sorted(at.windows[:3], reverse=True)
    patches = [(f"LE, P = {P}", risks.local(at, P)) for P in windows]
    return [("MMSE", risks.mmse(at)), ("E-MMSE", risks.equivariant(at)), *patches]


def _risk(at: Setting, estimate: Tensor) -> Tensor:
    _, x, _ = risks.draws(at)
    return risks.by_image(at, estimate - x, estimate - x)


def _gains(at: Setting, ladder: list[tuple[str, Tensor]]) -> list[tuple[str, str, float, float]]:
    return [
        (better, worse, *risks.mean_and_error(_risk(at, b) - _risk(at, a)))
        for (better, a), (worse, b) in pairwise(ladder)
    ]


EXPERIMENT = Experiment(
    id="2.7",
    statement="R(MMSE) ≤ R(E-MMSE) ≤ R(LE_{P+2}) ≤ R(LE_P)",
    source="derived",
    assumptions="x uniform on the training set; A = B = I",
    mark=Mark.DERIVED,
    measure=measure,
    too_strong=too_strong,
    twin="R(MMSE) = R(E-MMSE) = R(LE)",
    outside=evaluation.outside,
)
