"""2.5: the excess risk of a network over LE-MMSE is its squared distance from LE-MMSE.

For every local equivariant N of the same patch, ``R(N) − R(LE) = E|N − LE|²`` on the training distribution, R the
mean squared error: LE-MMSE is the orthogonal projection of x. So the risk of a network predicts how well it
matches. The difference of the two sides is ``2 E⟨N − LE, LE − x⟩``; it is held within 15 % or three standard
errors, whichever allows more.

Evidence: derived.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ....engine import Evidence, Experiment, Measurement, at_most, reported
from ..simulation import evaluation, risks
from ..simulation.problems import Denoise
from ..simulation.settings import Case, Setting


def _measure(setting: Setting) -> Sequence[Measurement]:
    """The asserted and reported rows."""
    _measure = _rows(setting, "untrained network", risks.untrained_estimates(setting))
    P = setting.cases[0].P
    members = [c for c in (*setting.cases, *setting.dominance) if _denoises(c) and c.P <= P]
    for case in members:
        _measure += _rows(setting, f"{case.architecture.name}, P = {case.P}", _restored(setting, case))
    return _measure


def _negative_control(setting: Setting) -> Sequence[Measurement]:
    """Claim it for a map that sees more than the patch: LE-MMSE of a larger patch."""
    return _rows(
        setting,
        f"LE-MMSE of P + 2 = {setting.cases[0].P + 2}",
        risks.local_estimates(setting, setting.cases[0].P + 2),
    )


def _denoises(case: Case) -> bool:
    return case.operator == Denoise()


def _restored(setting: Setting, case: Case) -> Tensor:
    task, _, y = risks.noisy_images(setting)
    return evaluation.apply_network(evaluation.trained_network(setting, case), task.observe(y), setting.sigma)


def _rows(setting: Setting, name: str, N: Tensor) -> list[Measurement]:
    _, x, _ = risks.noisy_images(setting)
    LE = risks.local_estimates(setting, setting.cases[0].P)
    excess = risks.mean_product_by_image(setting, N - x, N - x) - risks.mean_product_by_image(
        setting, LE - x, LE - x
    )
    distance = risks.mean_product_by_image(setting, N - LE, N - LE)
    difference, error = risks.mean_and_error(excess - distance)
    allowed = max(0.15 * float(distance.mean()), 3 * error)
    return [
        reported(f"{name}: R(N) − R(LE)", float(excess.mean())),
        at_most(
            f"{name}: |R(N) − R(LE) − E|N − LE|²|, E = {float(distance.mean()):.3g}", abs(difference), allowed
        ),
    ]


EXPERIMENT = Experiment(
    id="2.5",
    statement="R(N) − R(LE) = E|N − LE|² for every local equivariant N",
    source="derived",
    assumptions="x uniform on the training set",
    evidence=Evidence.DERIVED,
    measure=_measure,
    negative_control=_negative_control,
    false_statement="For maps that see more than the patch too",
    outside=evaluation.missing_images,
)
