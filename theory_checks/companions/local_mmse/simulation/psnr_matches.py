"""PSNR between each network and each estimator."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from . import evaluation
from .problems import problem
from .psnr import psnr
from .settings import Case, Setting

SPLITS = ("train", "test")


@dataclass(frozen=True, slots=True)
class Match:
    """PSNR of one network on one split, in dB.

    Attributes:
        case, label, split, sigma: network, problem, split and noise level.
        local: PSNR against LE-MMSE, by patch size.
        mmse: PSNR against the unconstrained MMSE.
        truth: PSNR against the true images.
        best: PSNR of LE-MMSE of the network's own patch size against the true images.
    """

    case: Case
    label: str
    split: str
    sigma: float
    local: dict[int, float]
    mmse: float
    truth: float
    best: float

    @property
    def own(self) -> float:
        """PSNR against LE-MMSE of the network's own patch size."""
        return self.local[self.case.P]

    @property
    def lead(self) -> float:
        """``own`` minus the PSNR against the nearest LE-MMSE of another patch size."""
        return self.own - max(value for P, value in self.local.items() if P != self.case.P)


@cache
def match(setting: Setting, case: Case, split: str, sigma: float, windows: tuple[int, ...]) -> Match:
    """PSNR of a network against LE-MMSE of each patch size in ``windows``, which must include its own."""
    conditions = (case.operator, case.aware, split, sigma)
    N = evaluation.network_output(setting, case, split, sigma)
    estimates = {P: evaluation.local_estimate(setting, *conditions, P, case.images).x for P in windows}
    measured = evaluation.measurements(setting, *conditions)
    label = problem(case.operator, case.aware, measured.x).label
    return Match(
        case,
        label,
        split,
        sigma,
        {P: psnr(N, x) for P, x in estimates.items()},
        psnr(N, evaluation.mmse_estimate(setting, case.operator, split, sigma)),
        psnr(N, measured.x),
        psnr(estimates[case.P], measured.x),
    )


def matches(setting: Setting) -> list[Match]:
    """Every network of 2.6 on both splits, at the noise level of the claims."""
    cases = (*setting.cases, *setting.dominance)
    return [match(setting, case, split, setting.sigma, setting.windows) for case in cases for split in SPLITS]
