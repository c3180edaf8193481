"""The stored form of verdicts."""

from __future__ import annotations

import json
from dataclasses import replace

from bench.utils.provenance import ROOT
from theory_checks.engine import ClaimVerdict, Evidence, ExperimentVerdict, at_most, reported
from theory_checks.report import verdicts_json
from theory_checks.report.claim_tables import verdicts_markdown

COMMON = ("X", "a ≤ b", "none", "here", "holds", "", 0.5, "a 1, asked ≤ 2", "a ≤ 0: refuted", 1.0)
CLAIM = ClaimVerdict(*COMMON, "affine", 10, 2, 1.5, float("nan"), {"affine": (10, 1.5, 2.0)})
EXPERIMENT = ExperimentVerdict(*COMMON, Evidence.READ, (at_most("a", 1.0, 2.0), reported("b", 3.0)))


def stored(folder: str) -> list[str]:
    """The keys of the first verdict of a committed file, in order."""
    file = ROOT / "results" / "reference" / folder / "verdicts.json"
    return list(json.loads(file.read_text(encoding="utf-8"))["claims"][0])


def test_the_keys_are_those_of_the_committed_verdicts():
    claim, experiment = json.loads(verdicts_json([CLAIM, EXPERIMENT], []))["claims"]
    assert list(claim) == stored("bounds")
    assert list(experiment) == stored("companions")
    assert (claim["examples"], claim["outside"], claim["ninetieth"]) == (10, 2, None)
    assert (experiment["examples"], experiment["outside"], experiment["mark"]) == (1, 0, "read")
    assert [row["status"] for row in experiment["rows"]] == ["pass", "reported"]


def test_every_verdict_is_listed_with_its_negative_control():
    text = verdicts_markdown([CLAIM, EXPERIMENT], [])
    assert text.count("a ≤ 0: refuted.") == 2
    assert "Bound/actual: affine 1.5, 2 (10)." in text


def test_a_search_says_the_largest_ratio_of_each_family():
    searched = replace(CLAIM, worst_by_family={"affine": 0.5})
    (content,) = json.loads(verdicts_json([searched], []))["claims"]
    assert content["worst_by_family"] == {"affine": 0.5}
    assert "Largest ratio found: affine 0.5." in verdicts_markdown([searched], [])
