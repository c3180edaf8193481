"""Verdicts as JUnit XML, which the test reports of GitHub, GitLab and Jenkins read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from bench.cli.options import writable
from bench.utils.atomic_files import write_atomically
from bench.utils.errors import UserError

from ..engine import Verdict
from ..engine.verdict import ASSUMPTION_NOT_MET, NOT_MET_HERE
from ..operators.operator_claims import OperatorCheck

SKIPPED = (ASSUMPTION_NOT_MET, NOT_MET_HERE, "not applicable")
"""Verdicts that neither pass nor fail."""


def junit_xml(verdicts: Sequence[Verdict], checks: Sequence[OperatorCheck]) -> str:
    """One test case for each verdict on a claim, and for each check of an operator."""
    suite = ElementTree.Element("testsuite", name="eqgrad")
    for v in verdicts:
        message = v.reason or f"{v.statement}: {v.detail or v.negative_control}"
        _add(suite, "claims", v.id, v.seconds, "" if v.verdict == "holds" else v.verdict, message)
    for c in checks:
        message = f"{c.reason} (L = {c.L:.4g}, {c.rigour})"
        _add(suite, c.of, c.claim, 0.0, "" if c.verdict == "holds" else c.verdict, message)
    counts = {kind: sum(case.find(kind) is not None for case in suite) for kind in ("failure", "skipped")}
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(counts["failure"]))
    suite.set("skipped", str(counts["skipped"]))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def write_junit(verdicts: Sequence[Verdict], checks: Sequence[OperatorCheck], file: Path) -> None:
    """Write ``junit_xml`` to a file, in a folder that is made if need be."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, junit_xml(verdicts, checks))


def writable_file(file: Path, option: str) -> None:
    """Check, before anything is measured, that a file can be written.

    Raises:
        UserError: it is a folder, or the folder for it cannot be made.
    """
    if file.is_dir():
        raise UserError(f"{option} {file} is a folder: choose a file")
    writable(file.parent, option)


def _add(suite: ElementTree.Element, group: str, name: str, seconds: float, fault: str, message: str) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=group, name=name, time=f"{seconds:.3f}")
    if fault:
        kind = "skipped" if fault in SKIPPED else "failure"
        ElementTree.SubElement(case, kind, message=f"{fault}: {_printable(message)}")


def _printable(text: str) -> str:
    """Without control characters, which XML does not allow even escaped."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
