"""JUnit XML of verdicts."""

from __future__ import annotations

import math
from xml.etree import ElementTree

from tests.helpers.commands import refused
from theory_checks.__main__ import entry
from theory_checks.claims import CLAIMS
from theory_checks.engine import verify_claim
from theory_checks.operators.operator_claims import OperatorCheck
from theory_checks.report.junit import junit_xml

CHECKS = [
    OperatorCheck("C1", "mine", 0.5, "known", "holds", 1e-9),
    OperatorCheck("C2", "mine", 0.5, "known", "FAILS", 2.0, "2 > 1 \x1b[31m <&"),
    OperatorCheck("C6", "mine", 0.5, "known", "not applicable", math.nan, "M_J or M_B is not known"),
]


def test_what_fails_is_a_failure_and_what_does_not_apply_is_skipped():
    root = ElementTree.fromstring(junit_xml([verify_claim(CLAIMS["C3"], 5)], CHECKS))
    (suite,) = root
    assert suite.attrib == {"name": "eqgrad", "tests": "4", "failures": "1", "skipped": "1"}
    assert [(case.get("classname"), case.get("name"), [part.tag for part in case]) for case in suite] == [
        ("claims", "C3", []),
        ("mine", "C1", []),
        ("mine", "C2", ["failure"]),
        ("mine", "C6", ["skipped"]),
    ]
    assert "2 > 1" in suite[2][0].get("message", "")


def test_a_folder_is_refused_in_one_line(tmp_path, capsys):
    words = ["verify", "--claims", "C3", "--junit", str(tmp_path)]
    assert "is a folder: choose a file" in refused(capsys, words, run=entry)
