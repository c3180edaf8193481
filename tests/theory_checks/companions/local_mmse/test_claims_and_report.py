"""LE-MMSE: settings, data of one's own, every claim, table and figure at a tiny size, and mutants that turn red."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch

from tests.theory_checks.companions.local_mmse.conftest import TINY, pictures
from theory_checks.companions.local_mmse import GROUP
from theory_checks.companions.local_mmse.claims import claim_2_1_identities, claim_2_2_limits
from theory_checks.companions.local_mmse.simulation import estimators, evaluation, patches
from theory_checks.companions.local_mmse.simulation.data import Faces, Ffhq
from theory_checks.companions.local_mmse.simulation.problems import Denoise, problem
from theory_checks.companions.local_mmse.simulation.settings import PAPER, SMALL
from theory_checks.engine import mutant_applied


def test_a_folder_of_ones_own_goes_first(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("EQGRAD_DATA", str(tmp_path))
    at = replace(SMALL, train=5, test=3)
    assert "EQGRAD_DATA" in (evaluation.missing_images(at) or ""), "nothing else in its place"
    pictures(tmp_path, 8, 28)
    assert evaluation.missing_images(at) is None
    found = at.source.load(at.size, at.train, at.test)
    assert found.label == "FFHQ"
    assert (found.train.shape, found.test.shape) == ((5, 3, 14, 14), (3, 3, 14, 14))
    # In colour a patch is all of its channels.
    y = found.test[:1]
    asked = problem(Denoise(), False, y)
    whole = estimators.local(y, found.train, asked, 0.3, 3).x
    moved = estimators.local(patches.shifted(y, 2, 5), found.train, asked, 0.3, 3).x
    assert torch.allclose(patches.shifted(whole, 2, 5), moved, atol=1e-12, rtol=0)
    monkeypatch.delenv("EQGRAD_DATA")
    assert at.source.load(at.size, 1, 1).label != "FFHQ"


def test_the_settings_agree_with_themselves() -> None:
    for at in (SMALL, PAPER):
        for case in (*at.cases, *at.dominance):
            assert at.sigma in case.sigmas
            assert case.P in at.windows
        assert at.cases[0].operator == at.by_level.operator == Denoise()


def test_every_claim_table_and_figure_runs_at_the_setting_of_the_paper_shrunk() -> None:
    known = {experiment.id for experiment in GROUP.experiments}
    assert known == {f"2.{n}" for n in range(1, 9)}
    for experiment in GROUP.experiments:
        assert all(math.isfinite(row.measured) for row in experiment.measure(TINY))
    # Two steps teach nothing: the claim of 2.6 must not hold.
    assert any(
        row.status == "fail" for row in GROUP.experiments[5].measure(TINY) if "PSNR(N, LE)" in row.quantity
    )
    for table in GROUP.tables(TINY).values():
        assert len(table) > 0
    for figure in GROUP.figures(TINY).values():
        assert figure.axes
        plt.close(figure)


@pytest.mark.slow
def test_and_in_colour(tmp_path: Path) -> None:
    pictures(tmp_path, TINY.train + TINY.test, 20)
    at = replace(TINY, source=Ffhq(str(tmp_path)))
    assert evaluation.images(at).train.shape[1] == 3
    for experiment in GROUP.experiments:
        assert all(math.isfinite(row.measured) for row in experiment.measure(at)), experiment.id
    for figure in GROUP.figures(at).values():
        plt.close(figure)


@pytest.mark.parametrize(
    "name", ["a maximum a chunk, sums not rescaled", "networks evaluated in training mode"]
)
def test_a_mutant_turns_the_identities_red(name: str) -> None:
    mutant = next(m for m in GROUP.mutants if m.name == name)
    at = replace(SMALL, source=Faces(), size=9)
    with mutant_applied(mutant):
        assert any(row.status == "fail" for row in claim_2_1_identities.EXPERIMENT.measure(at))


def test_a_bound_that_is_too_small_is_noticed() -> None:
    rows = claim_2_2_limits.EXPERIMENT.negative_control(replace(SMALL, source=Faces()))
    assert all(row.status == "fail" for row in rows)


def test_mutants_name_claims_that_exist() -> None:
    known = {experiment.id for experiment in GROUP.experiments}
    for mutant in GROUP.mutants:
        assert set(mutant.claims) <= known
        for owner, attribute, _ in mutant.patches:
            assert hasattr(owner, attribute)
