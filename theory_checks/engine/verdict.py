"""Verdicts: what came of a claim on drawn examples, or of an experiment at fixed seeds."""

from __future__ import annotations

from dataclasses import dataclass, field

from .experiment import Evidence, Measurement

HOLDS = "holds"
FAILS = "FAILS"
ASSUMPTION_NOT_MET = "assumption not met"
CONTROL_NOT_REFUTED = "negative control not refuted"
NOT_SHARP = "not sharp"
NOT_MET_HERE = "not met here"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The part that verdicts on claims and on experiments have in common.

    Attributes:
        id, statement, assumptions, source: copied from the claim or the experiment.
        verdict: ``holds``, ``FAILS``, ``assumption not met`` (nothing could be checked), ``negative control not
            refuted``, ``not sharp`` (a claim whose bound should be attained: no ratio of 0.99 was found), or
            ``not met here`` (an experiment that is known to miss its range at this size).
        reason: why the assumptions, or a range, are not met; empty otherwise.
        worst: largest ratio of the left to the right side (claims), or of the deviation to the allowed one
            (experiments). Of an equality, the largest relative deviation.
        detail: the counter-example, or the example with the worst ratio.
        negative_control: the false statement, and the example that refuted it.
        seconds: wall-clock time of the whole check.
    """

    id: str
    statement: str
    assumptions: str
    source: str
    verdict: str
    reason: str
    worst: float
    detail: str
    negative_control: str
    seconds: float = field(compare=False)

    @property
    def passes(self) -> bool:
        """Whether a run with this verdict may end with exit code 0."""
        return self.verdict in (HOLDS, ASSUMPTION_NOT_MET, NOT_MET_HERE)


@dataclass(frozen=True, slots=True)
class ClaimVerdict(Verdict):
    """The outcome of a claim on drawn examples.

    Attributes:
        families: names of the families of instances that were drawn, separated by commas.
        examples: number of examples that met the assumptions; ``outside`` the number that did not.
        median, ninetieth: median and 90th percentile of the effectivity ``rhs/lhs``; nan for an equality.
        spread: number of examples, median and 90th percentile of each family, and of the examples with
            ``rhs < scale`` (key ``bound < scale``): there the bound is smaller than the quantity it concerns.
        worst_by_family: largest ratio of the left to the right side in each family, of a search; empty otherwise.
    """

    families: str
    examples: int
    outside: int
    median: float
    ninetieth: float
    spread: dict[str, tuple[int, float, float]]
    worst_by_family: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True)
class ExperimentVerdict(Verdict):
    """The outcome of an experiment.

    Attributes:
        evidence: how the statement is known.
        measurements: what was measured; empty if the experiment could not be run.
    """

    evidence: Evidence
    measurements: tuple[Measurement, ...]

    @property
    def asserted(self) -> int:
        """Number of measurements that have a range to lie in."""
        return sum(m.status != "reported" for m in self.measurements)
