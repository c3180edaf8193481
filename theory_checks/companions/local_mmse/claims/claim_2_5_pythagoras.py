"""2.5: what a network loses against LE-MMSE is its distance from it.

For every local equivariant N of the same patch, ``R(N) − R(LE) = E|N − LE|²`` on the training distribution, R the
mean squared error: LE-MMSE is the orthogonal projection of x. So the risk of a network predicts how well it
matches. The difference of the two sides is ``2 E⟨N − LE, LE − x⟩``; it is held within 15 % or three standard
errors, whichever allows more.

Mark: derived.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ....experiment import Experiment, Mark, Row, at_most, reported
from ..simulation import evaluation, risks
from ..simulation.problems import Denoise
from ..simulation.settings import Case, Setting


def measure(at: Setting) -> Sequence[Row]:
    """The rows."""
    rows = _rows(at, "untrained network", risks.untrained(at))
    P = at.cases[0].P
    members = [c for c in (*at.cases, *at.dominance) if _denoises(c) and c.P <= P]
    for case in members:
        rows += _rows(at, f"{case.architecture.name}, P = {case.P}", _restored(at, case))
    return rows


def too_strong(at: Setting) -> Sequence[Row]:
    """For a map that sees more than the patch too: LE-MMSE of a larger one."""
    return _rows(at, f"LE-MMSE of P + 2 = {at.cases[0].P + 2}", risks.local(at, at.cases[0].P + 2))


def _denoises(case: Case) -> bool:
    return case.operator == Denoise()


def _restored(at: Setting, case: Case) -> Tensor:
    asked, _, y = risks.draws(at)
    return evaluation.applied(evaluation.network(at, case), asked.see(y), at.sigma)


def _rows(at: Setting, name: str, N: Tensor) -> list[Row]:
    _, x, _ = risks.draws(at)
    LE = risks.local(at, at.cases[0].P)
    excess = risks.by_image(at, N - x, N - x) - risks.by_image(at, LE - x, LE - x)
    distance = risks.by_image(at, N - LE, N - LE)
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
    mark=Mark.DERIVED,
    measure=measure,
    too_strong=too_strong,
    twin="For maps that see more than the patch too",
    outside=evaluation.outside,
)
