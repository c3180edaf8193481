"""The report of an attack."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pandas as pd

from .search import AttackReport

SHOWN = 20
"""Number of worst trials in ``attack.json``."""


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
