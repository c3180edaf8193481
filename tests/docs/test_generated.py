"""The pages that are made from the code are those that the code makes."""

from __future__ import annotations

import pytest

import solvers
from bench.utils.provenance import ROOT
from theory_checks.claims import CLAIMS
from theory_checks.report.docs_pages import API_SECTIONS, BEGIN, END, pages

DOCS = ROOT / "docs"
FUNCTIONS = {"SOLVER_PARTS", "ESTIMATORS", "Map", "Loss", "SolveLog"}
"""Public names that are no class and no function: rosters, and types of functions."""


@pytest.mark.parametrize("page", ["api.md", "claims.md", "companions.md", "misuse.md", "tables.md"])
def test_the_committed_page_is_the_one_that_the_code_makes(page):
    made = pages(DOCS)[DOCS / page]
    assert (DOCS / page).read_text(encoding="utf-8") == made, "run: python -m theory_checks docs"


def test_every_public_name_of_the_library_stands_in_the_reference():
    shown = [name for names in API_SECTIONS.values() for name in names]
    assert sorted(shown) == sorted(set(solvers.__all__) - FUNCTIONS)


def test_everything_in_the_reference_says_what_it_is():
    text = pages(DOCS)[DOCS / "api.md"]
    entries = text.split("\n### ")[1:]
    for entry in entries:
        prose = entry.split("```\n", 1)[1].strip()
        assert prose, entry.splitlines()[0]
    for name in ("restarted_jfb", "certified", "GradientMonitor"):
        (entry,) = [entry for entry in entries if entry.startswith(f"{name}\n")]
        assert "- `" in entry, "its arguments are listed"
        assert "``" not in entry.replace("```", "")


def test_every_claim_stands_in_the_table_with_its_statement():
    text = pages(DOCS)[DOCS / "claims.md"]
    table = text.split(BEGIN)[1].split(END)[0]
    for claim in CLAIMS.values():
        assert f"| {claim.id} |" in table
    assert len([line for line in table.splitlines() if line.startswith("| C")]) == len(CLAIMS)
