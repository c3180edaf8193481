"""What was run, on what, and how to run it again: from the records alone."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from ...records.record import Record
from ...records.store import Manifest, Store


@dataclass(frozen=True, slots=True)
class ProvenanceEntry:
    """A name and what is said under it, a line each."""

    name: str
    lines: tuple[str, ...]


def _values(found: Iterable[object]) -> tuple[str, ...]:
    """The distinct values as text, in their order."""
    return tuple(dict.fromkeys(str(value) for value in found if value not in (None, "", [], {})))


def run_headline(records: list[Record]) -> str:
    """One line: how many cells of how many tasks and solvers, on what device, with which torch and commit."""
    quality = [r for r in records if r.kind == "quality"]
    tasks, solvers = len({r.task for r in quality}), len({r.solver for r in quality})
    seeds = len({r.seed for r in quality})
    parts = [
        f"{tasks} {'task' if tasks == 1 else 'tasks'} × {solvers} {'estimator' if solvers == 1 else 'estimators'}, "
        f"{seeds} {'seed' if seeds == 1 else 'seeds'}",
        " and ".join(_values(r.provenance.get("device") for r in records)),
        " and ".join(_values(r.settings.get("dtype") for r in quality)),
    ]
    if versions := _values(r.provenance.get("versions", {}).get("torch") for r in records):
        parts.append(f"torch {' and '.join(versions)}")
    if commits := _values(_commit(r) for r in records):
        parts.append(f"commit {commits[0]}" if len(commits) == 1 else f"{len(commits)} commits")
    return " · ".join(part for part in parts if part)


def _commit(record: Record) -> str:
    head = str(record.provenance.get("commit", ""))[:10]
    return f"{head} with changes" if head and record.provenance.get("dirty") else head


def provenance_entries(records: list[Record], store: Store, manifest: Manifest) -> list[ProvenanceEntry]:
    """Everything that a reader may ask about where the numbers come from."""
    quality = [r for r in records if r.kind == "quality"]
    versions = [r.provenance.get("versions", {}) for r in records]
    packages = dict.fromkeys(name for each in versions for name in each)
    undetermined = _values(name for r in records for name in r.provenance.get("undetermined") or [])
    knows = any("undetermined" in r.provenance for r in records)
    stale, damaged = len(store.stale()), len(store.damaged(manifest.cells))
    missing = len(manifest.cells) - len(records) - damaged
    facts = [
        ProvenanceEntry("Profile", (f"{manifest.profile}. {manifest.summary}",)),
        ProvenanceEntry("Images", (manifest.images,)),
        ProvenanceEntry("Commit", _values(_commit(r) for r in records)),
        ProvenanceEntry("Device", _values(_device(r) for r in records)),
        ProvenanceEntry(
            "Versions",
            (", ".join(f"{p} {' and '.join(_values(v.get(p) for v in versions))}" for p in packages),),
        ),
        ProvenanceEntry("Number type", _values(r.settings.get("dtype") for r in quality)),
        ProvenanceEntry("Seeds", (", ".join(str(seed) for seed in sorted({r.seed for r in quality})),)),
        ProvenanceEntry("Deterministic", _determined(knows, undetermined)),
        *(
            ProvenanceEntry(f"Settings: {name}", _values(_settings(r, name) for r in records))
            for name in ("images", "training", "equilibrium", "oracle", "timing")
        ),
        ProvenanceEntry("Measured", (_counted(records, missing, stale, damaged),)),
    ]
    return [fact for fact in facts if any(fact.lines)]


def _device(record: Record) -> str:
    where = record.provenance
    parts = [where.get("device"), where.get("platform")]
    for name, one in (("cores", "core"), ("threads", "thread")):
        if where.get(name):
            parts.append(f"{where[name]} {one if where[name] == 1 else name}")
    if where.get("cuda"):
        parts.append(f"CUDA {where['cuda']}")
    return ", ".join(str(part) for part in parts if part) if where.get("device") else ""


def _determined(knows: bool, undetermined: tuple[str, ...]) -> tuple[str, ...]:
    if not knows:
        return ("the records do not say",)
    if undetermined:
        return (
            f"no: these operations have no deterministic implementation there: {', '.join(undetermined)}",
        )
    return ("yes: every operation that was used has a deterministic implementation",)


def _settings(record: Record, name: str) -> str:
    table = record.settings.get(name)
    if not isinstance(table, dict):
        return ""
    return ", ".join(
        f"{key} = {json.dumps(table[key])}" for key in sorted(table) if table[key] not in (None, False)
    )


def _counted(records: list[Record], missing: int, stale: int, damaged: int) -> str:
    line = f"{len(records)} records: {sum(r.kind == 'quality' for r in records)} of quality, "
    line += f"{sum(r.kind == 'cost' for r in records)} of seconds"
    for count, what in (
        (missing, "not measured yet"),
        (damaged, "damaged and not shown"),
        (stale, "of older code, versions or settings and not shown"),
    ):
        line += f"; {count} {what}" if count else ""
    return line


def commands(manifest: Manifest, known: Iterable[str]) -> list[str]:
    """The lines that make this run again; ``known`` are the profiles that come with the project.

    ``DIR`` and ``FOLDER`` stand for the images, and for the folder of this run.
    """
    name = manifest.profile if manifest.profile in known else f"{manifest.profile}.toml"
    folder = "results/again"
    run = ["python", "-m", "bench", "run", name, "--out", folder, "--device", manifest.device]
    lines = [shlex.join(run) + ("" if manifest.images == "scikit-image" else " --images DIR")]
    return [*lines, shlex.join(["python", "-m", "bench", "compare", folder, "FOLDER"])]
