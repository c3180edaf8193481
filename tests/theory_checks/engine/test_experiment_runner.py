"""Experiments: measurements and their ranges, verdicts, negative controls, groups, and the command."""

from __future__ import annotations

import importlib
import json
import math
import pkgutil
from dataclasses import dataclass, replace

import pandas as pd
import pytest
from matplotlib.figure import Figure

from theory_checks import companions, selection
from theory_checks.__main__ import entry
from theory_checks.claims import CLAIMS
from theory_checks.engine.experiment import (
    Evidence,
    Experiment,
    Measurement,
    at_least,
    at_most,
    between,
    near,
    reported,
    unmet,
    zero,
)
from theory_checks.engine.experiment_group import ExperimentGroup
from theory_checks.engine.experiment_runner import describe_measurement, describe_range, run_experiment
from theory_checks.engine.mutation import Mutant
from theory_checks.selection import check_mutant, select_claims


@dataclass(frozen=True)
class Tiny:
    value: float = 2.0
    device: str = "cpu"


class Library:
    """What the made-up experiment is about."""

    @staticmethod
    def double(x: float) -> float:
        return 2 * x


TINY = Experiment[Tiny](
    id="9.1",
    statement="double(x) = 2x",
    source="here",
    assumptions="none",
    evidence=Evidence.DERIVED,
    measure=lambda at: [
        near("double", Library.double(at.value), 2 * at.value, 0.5),
        reported("x", at.value),
    ],
    negative_control=lambda at: [near("double", Library.double(at.value), 3 * at.value, 0.5)],
    false_statement="double(x) = 3x",
)
MUTANT = Mutant("triples", ((Library, "double", staticmethod(lambda x: 3 * x)),), ("9.1",))


def figure(at: Tiny) -> Figure:
    made = Figure()
    made.subplots().plot([0, at.value])
    return made


GROUP = ExperimentGroup(
    "tiny",
    "A tiny theory",
    (TINY,),
    (MUTANT,),
    Tiny(),
    Tiny(3.0, "cuda"),
    lambda: (
        lambda at: {"values": pd.DataFrame({"x": [at.value], "name": ["a"]})},
        lambda at: {"a-line": figure(at)},
    ),
)


@pytest.mark.parametrize(
    ("row", "status", "ratio", "asked"),
    [
        (near("q", 1.1, 1.0, 0.2), "pass", 0.5, "0.8 to 1.2"),
        (near("q", 1.5, 1.0, 0.2), "fail", 2.5, "0.8 to 1.2"),
        (between("q", 3.0, 1.0, 3.0), "pass", 1.0, "1 to 3"),
        (at_most("q", 4.0, 5.0), "pass", 0.8, "≤ 5"),
        (at_most("q", 6.0, 5.0), "fail", 1.2, "≤ 5"),
        (at_most("q", -1.0, 5.0), "pass", 0.0, "≤ 5"),
        (at_most("q", 1.0, -5.0), "fail", math.inf, "≤ -5"),
        (at_least("q", 4.0, 2.0), "pass", 0.5, "≥ 2"),
        (at_least("q", 1.0, 2.0), "fail", 2.0, "≥ 2"),
        (zero("q", 0), "pass", 0.0, "0"),
        (zero("q", 1), "fail", math.inf, "0"),
        (reported("q", 7.0), "reported", 0.0, ""),
        (unmet(at_most("q", 6.0, 5.0), "too small"), "not met", 1.2, "≤ 5"),
        (unmet(at_most("q", 4.0, 5.0), "too small"), "pass", 0.8, "≤ 5"),
    ],
)
def test_a_row_is_held_against_its_range(row, status, ratio, asked):
    assert (row.status, describe_range(row)) == (status, asked)
    assert row.ratio == pytest.approx(ratio)
    assert row.reported or (row.margin >= 0) == (status == "pass")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_never_passes(value):
    for make in (lambda v: at_most("q", v, 1.0), lambda v: at_least("q", v, 1.0), lambda v: reported("q", v)):
        assert make(value).status == "fail"
        assert unmet(make(value), "known").status == "fail"
    assert at_most("q", value, 1.0).ratio == math.inf


def test_an_experiment_holds_and_says_where_it_was_nearest_to_its_limit():
    verdict = run_experiment(TINY, Tiny())
    assert (verdict.verdict, verdict.asserted, verdict.worst, verdict.evidence) == (
        "holds",
        1,
        0.0,
        Evidence.DERIVED,
    )
    assert verdict.detail == "double 4, asked 3.5 to 4.5"
    assert verdict.negative_control == "double(x) = 3x: refuted by double 4, asked 5.5 to 6.5"


def rows(*given: Measurement) -> Experiment[Tiny]:
    return replace(TINY, measure=lambda at: given)


def test_one_row_outside_its_range_fails_and_is_the_one_that_is_told():
    verdict = run_experiment(rows(near("a", 1.0, 1.0, 1.0), at_most("b", 3.0, 2.0)), Tiny())
    assert (verdict.verdict, verdict.detail) == ("FAILS", "b 3, asked ≤ 2")


def test_no_asserted_row_never_holds():
    assert run_experiment(rows(), Tiny()).verdict == "FAILS"
    assert run_experiment(rows(reported("x", 1.0)), Tiny()).verdict == "FAILS"


def test_a_negative_control_that_survives_or_could_not_be_measured_is_not_refuted():
    for value in (1.0, math.nan):
        unrefuted = replace(TINY, negative_control=lambda at, value=value: [at_most("a", value, 2.0)])
        verdict = run_experiment(unrefuted, Tiny())
        assert verdict.verdict == "negative control not refuted"
        assert verdict.negative_control.endswith("NOT REFUTED")


def test_a_statement_not_met_at_this_size_says_why_and_does_not_hide_a_failure():
    known = unmet(at_least("psnr", 20.0, 25.0), "a small network")
    verdict = run_experiment(rows(known), Tiny())
    assert (verdict.verdict, verdict.reason, verdict.detail) == (
        "not met here",
        "a small network",
        "psnr 20, asked ≥ 25",
    )
    assert run_experiment(rows(known, zero("a", 1.0)), Tiny()).verdict == "FAILS"


def test_without_its_device_or_data_nothing_is_measured():
    def boom(_: Tiny) -> list[Measurement]:
        raise AssertionError

    away = replace(TINY, measure=boom, negative_control=boom, outside=lambda at: "no images here")
    verdict = run_experiment(away, Tiny())
    assert (verdict.verdict, verdict.reason, verdict.measurements) == (
        "assumption not met",
        "no images here",
        (),
    )
    verdict = run_experiment(replace(away, outside=lambda at: None), Tiny(device="cuda:99"))
    assert verdict.verdict == "assumption not met"
    assert "cuda:99" in verdict.reason


def test_tell_is_short_where_nothing_is_asked():
    assert describe_measurement(reported("x", 1.5)) == "x 1.5"


def test_the_groups_are_the_folders_and_their_experiments_the_files():
    folders = [found for found in pkgutil.iter_modules(companions.__path__) if found.ispkg]
    assert {found.name.replace("_", "-") for found in folders} == {group.name for group in companions.GROUPS}
    for group in companions.GROUPS:
        package = importlib.import_module(f"theory_checks.companions.{group.name.replace('-', '_')}")
        claims = importlib.import_module(f"{package.__name__}.claims")
        files = [file.name for file in pkgutil.iter_modules(claims.__path__)]
        assert all(file.startswith("claim_") for file in files)
        stated = [importlib.import_module(f"{claims.__name__}.{file}").EXPERIMENT for file in files]
        assert {e.id for e in stated} == {e.id for e in group.experiments}
        assert len(stated) == len(group.experiments)
    ids = [e.id for group in companions.GROUPS for e in group.experiments]
    assert len(set(ids)) == len(ids) == 27
    names = [mutant.name for group in companions.GROUPS for mutant in group.mutants]
    assert len(set(names)) == len(names)


def test_every_mutant_of_a_companion_names_experiments_of_its_group():
    for group in companions.GROUPS:
        known = {experiment.id for experiment in group.experiments}
        for mutant in group.mutants:
            assert set(mutant.claims) <= known, mutant.name
            for owner, attribute, _ in mutant.patches:
                assert hasattr(owner, attribute), mutant.name


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(selection, "GROUPS", (*companions.GROUPS, GROUP))


@pytest.mark.usefixtures("tiny")
def test_claims_are_chosen_by_id_and_by_group():
    assert select_claims(None).names == tuple(CLAIMS)
    assert select_claims("bounds").names == tuple(CLAIMS)
    assert select_claims("tiny").names == select_claims("9.1").names == ("9.1",)
    assert select_claims("C6, C4,9.1,C6").names == ("C6", "C4", "9.1")
    assert set(select_claims("companions").names) >= {"9.1"}
    assert not set(select_claims("companions").names) & set(CLAIMS)


@pytest.mark.usefixtures("tiny")
def test_mutants_are_those_that_the_chosen_should_notice():
    assert select_claims("9.1").mutants == (MUTANT,)
    assert MUTANT not in select_claims(None).mutants
    assert "the weights are detached" in [m.name for m in select_claims("C1").mutants]  # by "real C1"
    fate = check_mutant(MUTANT)
    assert fate.caught == {"9.1": "double 6, asked 3.5 to 4.5"}
    assert run_experiment(TINY, Tiny()).verdict == "holds"


@pytest.mark.usefixtures("tiny")
def test_the_command_writes_rows_tables_and_figures(tmp_path, capsys):
    out = tmp_path / "out"
    assert entry(["verify", "--claims", "9.1", "--out", str(out)]) == 0
    assert "9.1 holds: double(x) = 2x" in capsys.readouterr().err
    there = out / "tiny"
    for name in ("README.md", "rows.csv", "values.csv", "a-line.png", "a-line.pdf", "a-line.svg"):
        assert (there / name).stat().st_size > 0
    table = pd.read_csv(there / "rows.csv")
    assert list(table["status"]) == ["pass", "reported"]
    text = (there / "README.md").read_text(encoding="utf-8")
    assert "Tiny(value=2.0, device='cpu')" in text
    assert "![A line](a-line.png)" in text
    assert "refuted by" in (out / "verdicts.md").read_text(encoding="utf-8")
    (claim,) = json.loads((out / "verdicts.json").read_text(encoding="utf-8"))["claims"]
    assert [row["status"] for row in claim["rows"]] == ["pass", "reported"]
    assert not list(out.glob("error-against-bound*"))


def test_tables_and_figures_are_of_a_whole_group(monkeypatch, tmp_path):
    two = replace(GROUP, experiments=(TINY, replace(TINY, id="9.2")))
    monkeypatch.setattr(selection, "GROUPS", (two,))
    assert entry(["verify", "--claims", "9.2", "--out", str(tmp_path)]) == 0
    assert {file.name for file in (tmp_path / "tiny").iterdir()} == {"README.md", "rows.csv"}
    assert entry(["verify", "--claims", "9.2,9.1", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "tiny" / "a-line.png").exists()


@pytest.mark.usefixtures("tiny")
def test_the_size_of_the_paper_without_its_device_measures_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert entry(["verify", "--claims", "tiny", "--paper", "--out", str(tmp_path)]) == 0
    assert "9.1 assumption not met: double(x) = 2x (it needs the device cuda" in capsys.readouterr().err
    text = (tmp_path / "tiny" / "README.md").read_text(encoding="utf-8")
    assert "assumption not met" in text
    assert "cuda" in text
    assert not list(tmp_path.rglob("*.png"))


@pytest.mark.usefixtures("tiny")
def test_the_device_can_be_another(tmp_path, capsys):
    assert GROUP.settings(paper=True, device="cpu") == Tiny(3.0, "cpu")
    assert GROUP.settings(paper=False) == Tiny(2.0, "cpu")
    assert entry(["verify", "--claims", "9.1", "--paper", "--device", "cpu", "--out", str(tmp_path)]) == 0
    assert "9.1 holds" in capsys.readouterr().err
    assert "Tiny(value=3.0, device='cpu')" in (tmp_path / "tiny" / "README.md").read_text(encoding="utf-8")
    assert entry(["verify", "--claims", "9.1", "--device", "abacus"]) == 2
    assert "unknown device 'abacus'" in capsys.readouterr().err


@pytest.mark.usefixtures("tiny")
def test_a_failing_experiment_is_exit_code_1_and_an_operator_has_none(monkeypatch, capsys):
    monkeypatch.setattr(Library, "double", staticmethod(lambda x: 3 * x))
    assert entry(["verify", "--claims", "9.1"]) == 1
    assert "9.1 FAILS: double 6, asked 3.5 to 4.5" in capsys.readouterr().err
    assert entry(["verify", "--claims", "9.1", "--operator", "docs/examples/broyden.py:broyden"]) == 2


@pytest.mark.usefixtures("tiny")
def test_mutations_of_a_group(tmp_path, capsys):
    assert entry(["mutations", "--claims", "tiny", "--out", str(tmp_path)]) == 0
    assert "triples: caught by 9.1" in capsys.readouterr().err
    assert "| triples" in (tmp_path / "mutations.md").read_text(encoding="utf-8")
