"""What the parts of the study found, in ``rows.json``, and the page made of it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

import torch

from bench.utils.atomic_files import make_folder, write_atomically
from bench.utils.errors import UserError
from bench.utils.provenance import provenance


def store(out: Path, part: str, command: str, seconds: float, rows: list[dict[str, Any]]) -> list[Path]:
    """Put a part into ``rows.json``, in place of an older one, and write the page again.

    Raises:
        UserError: ``rows.json`` is there and is none.
        Unwritable: the disk is full, or may only be read.
    """
    found = read(out)
    found[part] = {
        "command": command,
        "seconds": round(seconds, 1),
        "provenance": provenance(torch.device("cpu")),
        "rows": rows,
    }
    make_folder(out)
    write_atomically(
        out / "rows.json", json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    )
    write_atomically(out / "report.md", page(found))
    return [out / "rows.json", out / "report.md"]


def read(out: Path) -> dict[str, Any]:
    """The parts that are there. Raises ``UserError`` where the file is none of ours."""
    try:
        found = json.loads((out / "rows.json").read_text(encoding="utf-8"))
        return {str(part): dict(entry) for part, entry in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{out / 'rows.json'} is broken: remove it, or choose another --out") from error


def page(found: dict[str, Any]) -> str:
    """All parts as Markdown, a command beside its figures."""
    lines = ["# What happens to a run", "", "| command | seconds | what was seen |", "|---|---|---|"]
    for part, entry in sorted(found.items()):
        lines.append(f"| `{entry['command']}` | {entry['seconds']:.0f} | {SAID[part](entry['rows'])} |")
    versions = next((entry["provenance"]["versions"] for entry in found.values()), {})
    lines += [
        "",
        f"torch {versions.get('torch', 'unknown')}, Python {versions.get('python', 'unknown')}.",
        "",
    ]
    return "\n".join(lines)


def _kills(rows: list[dict[str, Any]]) -> str:
    (row,) = rows
    ways = ", ".join(f"{count} of {way}" for way, count in sorted(row["kills"].items()))
    return (
        f"{sum(row['kills'].values())} kill −9 ({ways}; {row['at_a_write']} while a file was being written) over "
        f"{row['starts']} starts: {row['lost']} records lost of {row['told']} told of, {row['torn']} torn, "
        f"{row['tracebacks']} tracebacks, {row['orphans']} left behind; {row['equal']} of {row['finished']} "
        "finished tables equal to an undisturbed run's"
    )


def _stops(rows: list[dict[str, Any]]) -> str:
    codes = Counter(f"{row['sent']} → {row['code']}" for row in rows)
    gone = max((row["gone"] or float("inf") for row in rows), default=0.0)
    one = sum(len(row["lines"]) == 1 for row in rows)
    said = ", ".join(f"{count} × {what}" for what, count in sorted(codes.items()))
    resumed = sum(row["goes_on"] for row in rows)
    return (
        f"{said}; one line in {one} of {len(rows)}; everything gone after {gone:.1f} s at most; {resumed} went on to "
        "every cell"
    )


def _twins(rows: list[dict[str, Any]]) -> str:
    whole, halved = ([row for row in rows if row["killed"] == killed] for killed in (False, True))
    return (
        f"{len(rows)} pairs, in {len(halved)} of them one killed half way: every cell once in "
        f"{sum(row['complete'] for row in rows)} tables; cells begun twice where both lived: "
        f"{sum(row['begun'] - row['cells'] for row in whole)}; both measured in "
        f"{sum(row['shared'] > 0 for row in rows)}"
    )


def _disk(rows: list[dict[str, Any]]) -> str:
    places = Counter(row["where"] for row in rows)
    codes = Counter(row["code"] for row in rows)
    said = ", ".join(f"{count} × exit code {code}" for code, count in sorted(codes.items()))
    failed = [row for row in rows if row["code"] != 0]
    return (
        f"{len(rows)} points ({', '.join(f'{n} {where}' for where, n in sorted(places.items()))}): {said}; one line in "
        f"{sum(row['one_line'] for row in failed)} of {len(failed)}; {sum(row['lost'] for row in rows)} records lost; "
        f"{sum(row['opens'] for row in rows)} stores open; {sum(row['goes_on'] for row in rows)} went on to every cell"
    )


def _malformed(rows: list[dict[str, Any]]) -> str:
    families = ", ".join(f"{row['inputs']} {row['family']}" for row in rows)
    total, bad = (sum(row[name] for row in rows) for name in ("inputs", "wrong"))
    return (
        f"{total} inputs ({families}): {total - bad} refused in a line with nothing written, {bad} otherwise"
    )


def _overhead(rows: list[dict[str, Any]]) -> str:
    (row,) = rows
    return (
        f"{row['cells']} quality cells of {row['profile']}: {row['measuring']:.1f} of {row['seconds']:.1f} s in "
        f"`measure`, {row['share']:.1%} outside it, imports included"
    )


def _throughput(rows: list[dict[str, Any]]) -> str:
    (row,) = rows
    one, plain = (median(row[name]) for name in ("gains_over_one", "gains_over_plain"))
    gains = ", ".join(f"{gain:.2f}" for gain in row["gains_over_one"])
    return (
        f"{row['cells']} quality cells of {row['matrix']}: {row['workers']} workers have {one:.2f} × the throughput of "
        f"one ({gains}) and {plain:.2f} × that of `--jobs 1`; outside the cells' own clocks: "
        f"{row['outside_dask']:.1%} with one worker, {row['outside_plain']:.1%} without Dask"
    )


SAID = {
    "kills": _kills,
    "kills-command": _kills,
    "stops": _stops,
    "twins": _twins,
    "disk": _disk,
    "malformed": _malformed,
    "overhead": _overhead,
    "throughput": _throughput,
}
