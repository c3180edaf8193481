"""Outcomes of checks."""

from __future__ import annotations

import ast

import pytest

from bench.utils.provenance import ROOT
from theory_checks.check.outcome import CheckOutcome, merge_notes, require


@pytest.mark.misuse("check under python -O (no assert)", "right: it finds what it finds without -O")
def test_no_check_hangs_on_an_assert():
    files = sorted((ROOT / "theory_checks" / "check").glob("*.py"))
    assert len(files) >= 4
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)], file.name
    with pytest.raises(AssertionError, match="words"):
        require(False, "words")


def test_the_same_note_stands_once():
    notes = [
        CheckOutcome("C1", "note", "no"),
        CheckOutcome("C2", "good", ""),
        CheckOutcome("C3", "note", "no"),
    ]
    assert merge_notes(notes) == [CheckOutcome("C2", "good", ""), CheckOutcome("C1, C3", "note", "no")]
