"""The attack on rigorous certificates finds nothing, and finds what is broken."""

from __future__ import annotations

import dataclasses
import json
import random
import sys

import pytest

from solvers import Certificate
from theory_checks.__main__ import entry
from theory_checks.attack.operators import PHYSICS, SPLITTINGS, WITHOUT_PROX
from theory_checks.attack.problem import AttackProblem
from theory_checks.attack.report import attack_progress, write_attack
from theory_checks.attack.search import run_attack, varied_trial
from theory_checks.attack.trial import AttackOutcome, AttackTrial, run_trial

LAYER = AttackTrial(AttackProblem("layer", size=8), "float64", "neumann", depth=4)
SHARP = AttackTrial(AttackProblem("affine", size=8), "float64", "picard", tol=0.1)
CANCELLED = dataclasses.replace(
    LAYER, problem=AttackProblem("affine", size=8, big=1e10), estimator="picard", tol=1e-13
)
DIVIDED = dataclasses.replace(CANCELLED, problem=AttackProblem("quotient", size=8, big=1e12))
FLAT = AttackTrial(
    AttackProblem(
        "weighted",
        wavelet="db2",
        batch=2,
        smoothing=0.1,
        weight=1.0,
        step=0.3,
        leaf="kernel",
        kink=True,
        big=1e12,
        seed=0,
    ),
    estimator="neumann",
    audit=True,
)
"""Thresholds of 2e11 beside a smoothing of 0.1: slopes are 1 but for 5e-13."""


@pytest.mark.parametrize("trial", [LAYER, CANCELLED, DIVIDED], ids=["plain", "cancelled", "divided"])
@pytest.mark.parametrize("way", ["backward", "grad", "inputs", "twice", "accumulate"])
def test_a_rigorous_certificate_holds(trial, way):
    found = run_trial(dataclasses.replace(trial, way=way))
    assert found.rigorous
    assert 0 < found.ratio <= 1


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("map", "physics", "splitting"),
    [
        *[("weighted", "deblurring", splitting) for splitting in SPLITTINGS],
        *[("weighted", physics, "forward_backward") for physics in PHYSICS],
        *[("colours", physics, "peaceman_rachford") for physics in PHYSICS if physics not in WITHOUT_PROX],
        ("union", "inpainting", "douglas_rachford"),
    ],
)
def test_every_penalty_and_physics_with_rigorous_bounds_is_attacked(map, physics, splitting, dtype):
    size = 16 if physics in ("super_resolution", "poisson") else 8
    problem = AttackProblem(map, physics, splitting, size=size, loss="slow")
    found = run_trial(AttackTrial(problem, dtype, "neumann", depth=2, start=0.01, aligned=True))
    assert found.rigorous
    assert 0 < found.ratio <= 1


@pytest.mark.parametrize(("ridge", "dtype"), [("crr", "float64"), ("crr_circular", "float32")])
def test_ridge_regularisers_are_attacked(ridge, dtype):
    found = run_trial(
        AttackTrial(AttackProblem(ridge, "mild_deblurring", loss="slow"), dtype, "neumann", depth=2)
    )
    assert found.rigorous
    assert 0 < found.ratio <= 1


def test_coupled_weights_claim_no_rigour():
    found = run_trial(AttackTrial(AttackProblem("coupled"), estimator="neumann"))
    assert not found.rigorous


def test_continuous_fields_move_within_their_ranges_and_zeros_stay():
    rng = random.Random(0)
    trial = AttackTrial(AttackProblem(smoothing=0.0, ridge=1.9), start=1e-8)
    moved = [varied_trial(trial, rng) for _ in range(200)]
    assert all(found.problem.smoothing in (0.0, 0.001, 0.01, 0.1) for found in moved)
    assert max(found.problem.ridge for found in moved) <= 2.0
    assert len({found.problem.ridge for found in moved}) > 50


def test_it_sees_a_certificate_that_is_five_times_too_small(monkeypatch):
    assert 0.5 < run_trial(SHARP).ratio <= 1
    whole = Certificate.error.fget
    monkeypatch.setattr(Certificate, "error", property(lambda self: whole(self) / 5))
    assert run_trial(SHARP).ratio > 1


def test_it_sees_a_certificate_that_forgets_rounding(monkeypatch):
    monkeypatch.setattr(sys.modules["solvers._certificates.bound"], "ROUNDING", 0.0)
    assert run_trial(CANCELLED).ratio > 1


def test_it_sees_a_certificate_that_forgets_what_the_way_back_rounds_off(monkeypatch):
    monkeypatch.setattr(
        "solvers._certificates.rounding.rounding_of_products", lambda tape, leaves, u: (0.0, 0.0)
    )
    assert run_trial(DIVIDED).ratio > 1


def test_where_slopes_are_nearly_1_derivatives_keep_their_digits(monkeypatch):
    found = run_trial(FLAT)
    assert found.rigorous
    assert found.ratio <= 1
    monkeypatch.setattr("bench.penalties.shrinkage.portion", lambda t, rest: t / (t + rest))
    assert run_trial(FLAT).ratio > 1


def test_it_sees_a_certificate_that_is_blind_to_other_leaves(monkeypatch):
    trials = [
        AttackTrial(AttackProblem(leaf="gain", ridge=0.1, seed=seed), estimator="implicit", tol=0.1)
        for seed in range(4)
    ]
    assert not any(run_trial(trial).rigorous for trial in trials)
    monkeypatch.setattr(sys.modules["solvers._certificates.bound"], "why_uncovered", lambda *told: "")
    found = [run_trial(trial) for trial in trials]
    assert any(one.rigorous and one.ratio > 1 for one in found)


def test_the_command_tells_and_writes(tmp_path, capsys):
    assert entry(["attack", "--trials", "6", "--seed", "1", "--out", str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out" / "attack.json").read_text())["trials"] == 6
    assert "largest ratio" in (tmp_path / "out" / "attack.md").read_text()


def test_the_command_exits_with_1_where_one_is_false(monkeypatch):
    whole = Certificate.error.fget
    monkeypatch.setattr(Certificate, "error", property(lambda self: whole(self) / 5))
    monkeypatch.setattr("theory_checks.attack.search.random_trial", lambda rng: SHARP)
    assert entry(["attack", "--trials", "2"]) == 1


def test_progress_tells_of_false_certificates_at_once():
    lines: list[str] = []
    listen = attack_progress(lines.append)
    for number in range(50):
        listen(number, AttackOutcome(SHARP, 2.0 if number == 7 else 0.5, 1.0, 1.0, 0.0, number != 8, ""))
    assert lines[0].startswith("trial 7: false by 2: AttackTrial(")
    assert lines[1:] == ["50 trials: 49 rigorous certificates, largest ratio 2"]


def test_an_attack_repeats_itself(tmp_path):
    one, two = run_attack(3, 1), run_attack(3, 1)
    assert one.outcomes == two.outcomes
    assert write_attack(one, tmp_path)
