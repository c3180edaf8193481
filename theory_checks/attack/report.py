"""The report of an attack."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from .search import AttackReport
from .trial import AttackOutcome

EVERY = 50
"""Trials between two lines on progress."""
SHOWN = 20
"""Number of worst trials in ``attack.json``."""


def attack_progress(say: Callable[[str], object]) -> Callable[[int, AttackOutcome], None]:
    """A listener that says how far an attack is, and each false certificate at once.

    Args:
        say: takes a line.
    """
    rigorous, largest = 0, 0.0

    def listen(number: int, outcome: AttackOutcome) -> None:
        nonlocal rigorous, largest
        if outcome.rigorous:
            rigorous, largest = rigorous + 1, max(largest, outcome.ratio)
            if outcome.ratio > 1:
                say(f"trial {number}: false by {outcome.ratio:.3g}: {outcome.trial}")
        if (number + 1) % EVERY == 0:
            say(f"{number + 1} trials: {rigorous} rigorous certificates, largest ratio {largest:.6g}")

    return listen


def attack_frame(report: AttackReport) -> pd.DataFrame:
    """The summary, one row a number, as text."""
    return pd.DataFrame([{"": name, "value": str(value)} for name, value in report.summary().items()])


def write_attack(report: AttackReport, out: Path) -> list[Path]:
    """Write ``attack.md`` and ``attack.json`` into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    worst = [dataclasses.asdict(outcome) for outcome in report.rigorous[:SHOWN]]
    page, data = out / "attack.md", out / "attack.json"
    data.write_text(json.dumps({**report.summary(), "worst": worst}, indent=1) + "\n", encoding="utf-8")
    lines = ["# Attack on rigorous certificates\n", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in report.summary().items()]
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [page, data]
