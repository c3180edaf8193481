"""The table of misuse is what the marks of the tests say, and they say enough."""

from __future__ import annotations

import pytest

from bench.utils.provenance import ROOT
from theory_checks.report.misuse import OUTCOMES, misuse_page, misuse_rows

LEAST = 60


def written(tmp_path, text):
    (tmp_path / "bench").mkdir(exist_ok=True)
    (tmp_path / "bench" / "test_x.py").write_text(text, encoding="utf-8")
    return tmp_path


def test_there_are_enough_situations_and_none_twice():
    found = misuse_rows(ROOT / "tests")
    assert len(found) >= LEAST
    assert len({(row.area, row.situation) for row in found}) == len(found)
    assert {outcome for outcome in OUTCOMES for row in found if row.outcome.startswith(outcome)} >= {
        "right",
        "refused",
    }


def test_marks_are_found_on_functions_and_on_cases(tmp_path):
    text = """
import pytest

@pytest.mark.misuse("a | b", "right: " "both")
@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.misuse("c", "refused: no", area="maps")), 2])
def test_it(x): pass

def test_other(): pass
"""
    found = misuse_rows(written(tmp_path, text))
    assert [(row.area, row.situation, row.outcome, row.test) for row in found] == [
        ("benchmark", "a | b", "right: both", "test_it"),
        ("maps", "c", "refused: no", "test_it"),
    ]
    made = misuse_page(tmp_path)
    assert "| a \\| b | right: both | [test_it](../tests/bench/test_x.py) |" in made
    assert made.index("## Benchmark") < made.index("## Maps")


@pytest.mark.parametrize(
    "mark", ['("a", "wrong: b")', '("a", f"right: {1}")', '("a")', '("a", "right", "b")', '(WORDS, "right")']
)
def test_a_mark_that_cannot_be_read_is_an_error(mark, tmp_path):
    text = f"import pytest\n@pytest.mark.misuse{mark}\ndef test_it(): pass\n"
    with pytest.raises(ValueError, match=r"test_x\.py:2"):
        misuse_rows(written(tmp_path, text))
