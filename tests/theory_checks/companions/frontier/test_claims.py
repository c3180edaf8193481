"""The estimator of the dimension, the zooms, and claims that must go red."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from theory_checks.companions.frontier import GROUP, mutants
from theory_checks.companions.frontier.claims import (
    claim_3_4_dimension,
    claim_3_6_numerics,
    claim_3_7_calibration,
    claim_3_9_backward,
)
from theory_checks.companions.frontier.simulation import box_counting, calibration_sets, landscapes, zooms
from theory_checks.companions.frontier.simulation.networks import Architecture
from theory_checks.companions.frontier.simulation.settings import PAPER, SMALL, Window
from theory_checks.engine import mutant_applied

TINY = replace(
    SMALL,
    chunk=480,
    depths=(10, 20, 40),
    cells=24,
    precise_cells=24,
    seeds=(0, 1),
    zoom_cells=24,
    zoom_levels=2,
    backward_seeds=4,
    ladders=(),
)


def test_edges_by_hand() -> None:
    above = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], bool)
    assert box_counting.frontier_cells(above).all()
    assert not box_counting.frontier_cells(np.ones((4, 4), bool)).any()
    above = np.array([[0, 1, 1], [0, 1, 1], [0, 1, 1]], bool)
    assert box_counting.frontier_cells(above).tolist() == [[True, False], [True, False]]


def test_counts_against_a_loop() -> None:
    cells = np.random.default_rng(0).random((13, 13)) < 0.1
    for size, found in zip((1, 2, 4), box_counting.box_counts(cells, (1, 2, 4)), strict=True):
        expected = sum(
            cells[i : i + size, j : j + size].any() for i in range(0, 13, size) for j in range(0, 13, size)
        )
        assert found == expected


def test_no_frontier_has_no_dimension() -> None:
    assert math.isnan(box_counting.dimension(np.zeros((64, 64), bool)))
    assert math.isnan(box_counting.refinement(np.ones((65, 65), bool)))
    assert math.isnan(landscapes.median_or_nan([1.4, math.nan, 1.5]))
    assert landscapes.median_or_nan([1.4, 1.6, 1.5]) == 1.5


def test_sizes_stay_in_the_window() -> None:
    assert box_counting.box_sizes(192) == (1, 2, 4, 8, 16, 32)
    assert box_counting.box_sizes(96) == (1, 2, 4, 8, 16)
    assert box_counting.box_sizes(992) == (1, 2, 4, 8, 16, 32)
    assert box_counting.box_sizes(3) == (1,)
    assert math.isnan(box_counting.dimension(np.ones((3, 3), bool)))


def test_dimension_of_sets() -> None:
    assert box_counting.dimension(np.ones((192, 192), bool)) == pytest.approx(2)
    assert box_counting.dimension(calibration_sets.carpet(4), (1, 3, 9, 27)) == pytest.approx(
        math.log(8) / math.log(3)
    )
    assert box_counting.refinement(calibration_sets.half_plane(193, 0.0)) == pytest.approx(1)


def test_rare_specks_look_like_a_fractal_to_boxes_but_not_to_resolution() -> None:
    specks = calibration_sets.random_signs(193, 3, rare=0.05)
    assert box_counting.dimension(box_counting.frontier_cells(specks)) < 1.9
    assert box_counting.refinement(specks) > 1.9


def test_grid_has_sigma_w_to_the_right_and_sigma_b_upwards() -> None:
    w, b = landscapes.window_nodes(Window((1.0, 2.0), (3.0, 5.0)), 2)
    assert w.tolist() == [1, 1.5, 2] * 3
    assert b.tolist() == [3] * 3 + [4] * 3 + [5] * 3


def test_window_about_a_cell() -> None:
    cells = np.zeros((4, 4), bool)
    cells[1, 3] = cells[0, 0] = True
    middle = zooms.central_cell(Window((0.0, 4.0), (0.0, 8.0)), cells)
    assert middle == (3.5, 3.0)
    assert Window((0.0, 4.0), (0.0, 8.0)).around(middle, 4) == Window((3.0, 4.0), (2.0, 4.0))


def test_ladder_ends_without_a_frontier() -> None:
    ordered = replace(TINY, window=Window((0.1, 0.2), (1.0, 1.1)))
    (only,) = zooms.zoom_levels(ordered, Architecture.MLP, 30, 0)
    assert math.isnan(only.dimension)


def test_a_network_without_a_frontier_fails_and_does_not_pass() -> None:
    ordered = replace(TINY, window=Window((0.1, 0.2), (1.0, 1.1)))
    rows = claim_3_4_dimension.EXPERIMENT.measure(ordered)
    status = {row.quantity: row.status for row in rows}
    assert status["dimension, MLP, N=30, D=40, median of 2 seeds"] == "fail"
    assert all(
        row.status == "fail"
        for row in rows
        if "dimension, mean field" in row.quantity and "0.2" in row.quantity
    )


def test_threshold_is_the_one_of_the_setting() -> None:
    assert landscapes.threshold(SMALL, np.ones((3, 3))) == 1e-5
    assert PAPER.threshold == 1e-5


@pytest.mark.parametrize("name", ["edges are values", "sign of the box", "boxes larger", "threshold chosen"])
def test_wrong_estimators_are_noticed(name: str) -> None:
    (wrong,) = (m for m in mutants.MUTANTS if m.name.startswith(name))
    at = replace(SMALL, cells=96)
    with mutant_applied(wrong), np.errstate(all="ignore"):
        assert any(row.status == "fail" for row in claim_3_7_calibration.EXPERIMENT.measure(at))


@pytest.mark.parametrize("name", ["erf' replaced", "Wᵀ forgotten", "no biases", "χ with"])
def test_wrong_networks_are_noticed(name: str) -> None:
    (wrong,) = (m for m in mutants.MUTANTS if m.name.startswith(name))
    with mutant_applied(wrong):
        assert any(row.status == "fail" for row in claim_3_9_backward.EXPERIMENT.measure(TINY))


def test_weights_redrawn_for_every_pixel_are_noise_by_resolution() -> None:
    (wrong,) = (m for m in mutants.MUTANTS if m.name.startswith("weights redrawn"))
    at = replace(TINY, precise_cells=48, depths=(10, 20, 60))
    with mutant_applied(wrong):
        rows = claim_3_6_numerics.EXPERIMENT.measure(at)
    by = [row for row in rows if row.quantity.startswith("dimension by resolution")]
    assert by
    assert all(row.status == "fail" for row in by)


def test_backward_holds_and_its_twin_does_not() -> None:
    assert all(row.status == "pass" for row in claim_3_9_backward.EXPERIMENT.measure(SMALL))
    assert any(row.status == "fail" for row in claim_3_9_backward.EXPERIMENT.negative_control(SMALL))


def test_every_claim_has_an_experiment_and_every_mutant_a_claim() -> None:
    ids = [e.id for e in GROUP.experiments]
    assert ids == [f"3.{i}" for i in range(1, 10)]
    assert all(set(m.claims) <= set(ids) and m.claims for m in GROUP.mutants)
    assert len({m.name for m in GROUP.mutants}) == len(GROUP.mutants)
