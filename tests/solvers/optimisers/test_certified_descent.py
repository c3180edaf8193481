"""Certified descent: what it accepts, what it encloses, and when it stops; and the enclosure that it rests on."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch

from solvers import LipschitzConstants, SmoothLoss, TapeRecorder, certified, jfb, last_backward_pass
from solvers._certificates.loss_enclosure import loss_enclosure
from solvers.optimisers import BilevelObjective, CertifiedDescent


class BentMap:
    """``T(x) = ½ sin(x) + θ``: L = ½, ``M_J`` = ½, and a loss that depends on where the solve stops."""

    def __init__(self, theta: torch.Tensor, bounds: type = LipschitzConstants) -> None:
        self.theta, self.bounds = theta, bounds

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return 0.5 * x.sin() + self.theta

    def regularity(self):
        return self.bounds(
            0.5, 0.5, 0.0, lambda x: len(x) ** 0.5, parameters=[self.theta], rounding=lambda _: 1e-14
        )


@pytest.fixture
def bent() -> BilevelObjective:
    theta = torch.full((4,), 0.3, dtype=torch.float64, requires_grad=True)
    truth = torch.tensor([[1.0, -2.0, 0.5, 3.0], [1.2, -1.0, 0.0, 2.0]], dtype=torch.float64)
    loss = SmoothLoss(lambda x: 0.5 * (x - truth).square().mean(), 1 / truth.numel())
    return BilevelObjective(lambda: BentMap(theta), loss, torch.zeros_like(truth), [theta])


def exact(objective, theta):
    objective.move(theta)
    return float(objective.loss(jfb(200)(objective.map(), objective.start).x.detach()))


@pytest.mark.parametrize("rtol", [0.01, 0.5])
def test_no_accepted_step_raises_the_exact_loss_and_each_enclosure_holds_it(bent, rtol):
    steps = list(itertools.islice(CertifiedDescent(0.5).minimise(bent, certified(rtol)), 40))
    losses = [exact(bent, step.evaluation.theta) for step in steps]
    accepted = [loss for step, loss in zip(steps, losses, strict=True) if not step.why]
    assert len(accepted) > 5
    assert all(b < a for a, b in itertools.pairwise(accepted))
    for step, loss in zip(steps, losses, strict=True):
        assert step.enclosure is not None
        assert step.enclosure.rigorous
        assert step.enclosure.lower <= loss <= step.enclosure.upper


def test_it_reaches_the_minimum_and_says_that_nothing_is_left(bent):
    *_, last = CertifiedDescent(0.5).minimise(bent, certified(0.1))
    assert last.why
    bent.move(last.evaluation.theta)
    bent.loss(certified(1e-6)(bent.map(), bent.start, bent.loss).x).backward()
    assert float(bent.parameters[0].grad.norm()) < 1e-2


def test_it_says_so_if_the_budget_leaves_a_step_undecided(bent):
    *_, last = CertifiedDescent(0.5).minimise(bent, certified(0.5, 4))
    assert last.why


def test_it_needs_a_certified_solver_and_derivative_bounds(bent):
    with pytest.raises(ValueError, match=r"certified\(rtol\)"):
        next(CertifiedDescent().minimise(bent, jfb(10)))
    theta = bent.parameters[0]
    unbounded = dataclasses.replace(bent, map=lambda: lambda x: 0.5 * x.sin() + theta)
    with pytest.raises(ValueError, match="no derivative bounds"):
        next(CertifiedDescent().minimise(unbounded, certified(0.1)))


class Constants:
    """Derivative bounds that state a remainder as well."""

    value = 0.0

    def __init__(self, *constants, **named):
        self.constants = LipschitzConstants(*constants, **named)

    def __getattr__(self, name):
        return getattr(self.constants, name)

    def remainder(self, x, u, radius):
        return self.value


@pytest.mark.parametrize(("value", "share"), [(0.0, 0.0), (1e9, 1.0)])
def test_a_stated_remainder_counts_if_it_is_smaller(bent, monkeypatch, value, share):
    monkeypatch.setattr(Constants, "value", value)
    plain, stated = (
        enclosed(BentMap(bent.parameters[0], kind), bent) for kind in (LipschitzConstants, Constants)
    )
    assert stated.jacobian == share * plain.jacobian
    assert plain.jacobian > 0
    assert (stated.value, stated.residual, stated.smoothness) == (
        plain.value,
        plain.residual,
        plain.smoothness,
    )


def test_a_negative_remainder_is_refused(bent, monkeypatch):
    monkeypatch.setattr(Constants, "value", -1.0)
    with pytest.raises(ValueError, match="remainder"):
        enclosed(BentMap(bent.parameters[0], Constants), bent)


def enclosed(T, objective):
    recorder = TapeRecorder(T)
    x = jfb(2)(recorder, objective.start).x
    cotangents: list[torch.Tensor] = []
    x.register_hook(cotangents.append)
    loss = objective.loss(x)
    loss.backward()
    taped = last_backward_pass(recorder.taped)
    return loss_enclosure(
        taped, x, float(loss.detach()), cotangents[0], T.regularity(), objective.loss.smoothness
    )
