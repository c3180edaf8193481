"""Claims on operators of the benchmark."""

from __future__ import annotations

import pytest

from bench.penalties import Penalty
from theory_checks.operators import benchmark_operator
from theory_checks.operators.operator_claims import WITH_REGULARITY

SOME = {
    "denoising_colour(huber)",
    "deblurring(l1)",
    "deblurring(orientations(smoothing=0.01, ridge=0.02))",
    "denoising_colour(orientations_colours(coupled=True))",
    "deblurring(huber), asymmetric",
    "deblurring(huber), peaceman_rachford",
    "inpainting(huber), douglas_rachford",
}
"""Operators of every verdict; the others are slow, and ``tox -e bounds`` takes all of them, with all claims."""


@pytest.mark.parametrize(
    "task",
    [
        pytest.param(t, id=t.label, marks=() if t.label in SOME else pytest.mark.slow)
        for t in benchmark_operator.benchmark_tasks()
    ],
)
@pytest.mark.parametrize("name", ["C2", "C3", "C18", "C13", "C26", "C27"])
def test_claims_hold_on_real_operators_or_say_why_not(task, name):
    found = benchmark_operator.check_claim_on_task(name, task)
    silent = name in WITH_REGULARITY and isinstance(task.prior, Penalty) and task.prior.coupled
    assert found.verdict == (
        "assumption not met" if found.L >= 1 - 1e-9 else "not applicable" if silent else "holds"
    )
