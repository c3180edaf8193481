"""How near each network is to each estimator: the rows of the table, and what 2.6 asserts of them."""

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
    """A network on a split, in dB.

    Attributes:
        case, label, split, sigma: the network, its problem, the images, and their noise.
        local: PSNR of the network against LE-MMSE, by patch size.
        mmse: against the unconstrained MMSE.
        truth: against the images.
        best: PSNR of LE-MMSE of the network's own patch size against the images.
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
        """Against LE-MMSE of the network's own patch size."""
        return self.local[self.case.P]

    @property
    def lead(self) -> float:
        """Over the patch size that comes next."""
        return self.own - max(value for P, value in self.local.items() if P != self.case.P)


@cache
def match(setting: Setting, case: Case, split: str, sigma: float, windows: tuple[int, ...]) -> Match:
    """A network against LE-MMSE of each of ``windows``, which has its own among them."""
    asked = (case.operator, case.aware, split, sigma)
    N = evaluation.network_output(setting, case, split, sigma)
    found = {P: evaluation.local_estimate(setting, *asked, P, case.images).x for P in windows}
    seen = evaluation.measurements(setting, *asked)
    label = problem(case.operator, case.aware, seen.x).label
    return Match(
        case,
        label,
        split,
        sigma,
        {P: psnr(N, x) for P, x in found.items()},
        psnr(N, evaluation.mmse_estimate(setting, case.operator, split, sigma)),
        psnr(N, seen.x),
        psnr(found[case.P], seen.x),
    )


def matches(setting: Setting) -> list[Match]:
    """Every network of 2.6 on both splits, at the noise level of the claims."""
    cases = (*setting.cases, *setting.dominance)
    return [match(setting, case, split, setting.sigma, setting.windows) for case in cases for split in SPLITS]
