"""Checks of tasks and operators: what they say of wrong ones, and nothing of right ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from deepinv.physics import DecomposablePhysics, Inpainting
from torch import nn

from bench.operators import Operator, data_fidelity
from bench.penalties import huber
from bench.tasks import Task
from bench.tasks.denoising import Identity
from bench.utils.provenance import ROOT
from theory_checks.check.command import resolve_call
from theory_checks.check.crops import build_task
from theory_checks.check.operator_checks import OPERATOR_CHECKS
from theory_checks.check.outcome import run_check
from theory_checks.check.task_checks import TASK_CHECKS

EXAMPLES = ROOT / "docs" / "examples"


class Step(Operator):
    """A gradient step towards mid-grey, wrong in the way that it is told to be."""

    def __init__(self, wrong, weight):
        super().__init__()
        self.wrong = wrong
        self.log_weight = nn.Parameter(weight.log())
        self.calls = 0

    def forward(self, x, y, physics, *, data=None):
        data = data or data_fidelity(y, physics)
        w = self.log_weight.exp()
        if self.wrong == "detached":
            w = w.detach()
        if self.wrong == "slope":
            w = w.detach() + 2 * (w - w.detach())
        mean = x.mean(0, keepdim=True) if self.wrong == "mixes" else x
        if self.wrong == "noise":
            mean = mean + 1e-6 * torch.randn_like(x)
        return x + 0.9 * (data.descent(x) - w * (mean - 0.5))

    def contraction(self, spectrum):
        if self.wrong == "unknown":
            return math.nan
        if self.wrong == "bound":
            return 0.1
        w = float(self.log_weight.detach().exp())
        return max(abs(1 - 0.9 * (s + w)) for s in spectrum)


@dataclass(frozen=True)
class Prior:
    wrong: str = ""
    layers: int = 0

    @property
    def label(self):
        return f"prior({self.wrong})"

    def operator(self, shape, step, dtype, device):
        return Step(self.wrong, torch.tensor(0.3, dtype=dtype, device=device))


def small(prior):
    return Task("x", Identity(), (0.1,), prior, 0.5)


@pytest.mark.parametrize(
    ("wrong", "check", "words"),
    [
        ("detached", "derivatives", "T depends on log_weight, and no gradient reaches it"),
        ("slope", "derivatives", "the derivative in log_weight is"),
        ("slope", "gradient_at_equilibrium", "by differences of the solved problem"),
        ("mixes", "treats_samples_alone", "samples must not interact"),
        ("noise", "keeps_shape_and_repeats", "T(x) is different every time"),
        ("bound", "contraction", "contraction() states L = 0.1, but T stretches"),
    ],
)
def test_a_wrong_operator_is_told_in_words(wrong, check, words):
    one = run_check(check, partial(OPERATOR_CHECKS[check], build_task(small(Prior(wrong)))))
    assert one.wrong
    assert words in one.words


def test_a_right_operator_is_not_and_one_without_a_bound_is_noted():
    for check in OPERATOR_CHECKS:
        assert run_check(check, partial(OPERATOR_CHECKS[check], build_task(small(Prior())))).verdict == "good"
    note = run_check(
        "contraction", partial(OPERATOR_CHECKS["contraction"], build_task(small(Prior("unknown"))))
    )
    assert note.verdict == "note"
    assert "contraction() knows no bound; measured from below: 0." in note.words


@dataclass(frozen=True)
class Physics:
    wrong: str = ""

    def __call__(self, shape, rng, dtype, device):
        rng = None if self.wrong == "seed" else rng
        kept = torch.rand(shape, generator=rng, dtype=torch.float64) > 0.5
        mask = kept.to(device, dtype)
        if self.wrong in ("", "seed"):
            return Inpainting(img_size=shape, mask=mask, device=device)
        if self.wrong == "float32":
            mask = (mask + 0.01).float().double().to(dtype) if dtype == torch.float64 else mask

        def same(x):
            return x

        def louder(x):
            return 1.1 * x

        def rolled(x):
            return x.roll(1, -1)

        return DecomposablePhysics(
            U={"spectrum": louder, "adjoint": rolled}.get(self.wrong, same),
            U_adjoint=louder if self.wrong == "spectrum" else same,
            mask=mask[None],
            img_size=shape,
            device=device,
        )


@pytest.mark.parametrize(
    ("wrong", "check", "words"),
    [
        ("adjoint", "adjoint", "A_adjoint of DecomposablePhysics is not the adjoint of A"),
        ("spectrum", "spectrum", "above the largest of physics.mask²"),
        ("seed", "a_seed_is_a_problem", "draw everything random from rng"),
        ("float32", "float32", "make the physics in the dtype that is given"),
    ],
)
def test_a_wrong_task_is_told_in_words(wrong, check, words):
    one = run_check(check, partial(TASK_CHECKS[check], Task("x", Physics(wrong), (0.05,), huber(), 1.0)))
    assert one.wrong
    assert words in one.words


def test_a_right_task_is_not_and_a_long_step_is_noted():
    for check in TASK_CHECKS:
        assert (
            run_check(check, partial(TASK_CHECKS[check], Task("x", Physics(), (0.05,), huber(), 1.0))).verdict
            == "good"
        )
    long = run_check(
        "spectrum", partial(TASK_CHECKS["spectrum"], Task("x", Physics(), (0.05,), huber(), 2.5))
    )
    assert long.verdict == "note"
    assert "the step 2.5 is too long" in long.words


def test_the_task_and_the_operator_of_the_documentation_are_right():
    """Without the claims, which the test of a template runs."""
    task = resolve_call(f"{EXAMPLES}/fourier.py:fourier")
    assert isinstance(task, Task)
    for check in TASK_CHECKS:
        assert run_check(check, partial(TASK_CHECKS[check], task)).verdict == "good"
    for at in (build_task(task), build_task(small(resolve_call(f"{EXAMPLES}/edges.py:edges")))):
        for check in OPERATOR_CHECKS:
            assert run_check(check, partial(OPERATOR_CHECKS[check], at)).verdict == "good"
