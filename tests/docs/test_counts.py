"""Numbers of claims and of mutants that the text names are those of the rosters."""

from __future__ import annotations

import re

import pytest

from bench.utils.provenance import ROOT
from theory_checks.claims import CLAIMS
from theory_checks.mutants import MUTANTS


@pytest.mark.parametrize(
    ("page", "pattern", "roster"),
    [
        ("README.md", r"the (\d+) claims", CLAIMS),
        ("README.md", r"breaks the code in (\d+) ways", MUTANTS),
        ("DESIGN.md", r"the (\d+) claims", CLAIMS),
    ],
)
def test_the_number_is_that_of_the_roster(page, pattern, roster):
    said = re.findall(pattern, (ROOT / page).read_text(encoding="utf-8"))
    assert said
    assert set(said) == {str(len(roster))}
