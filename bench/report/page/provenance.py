"""Settings, machine and versions of a run, and the commands that repeat it; from the records alone."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable

from ...records.record import Record
from ...records.store import Manifest, Store


def _distinct(values: Iterable[object]) -> tuple[str, ...]:
    """The distinct values as text, in their order, without empty ones."""
    return tuple(dict.fromkeys(str(value) for value in values if value not in (None, "", [], {})))


def run_headline(records: list[Record]) -> str:
    """One line with the numbers of tasks, solvers and seeds, the device, the dtype, torch and the commit."""
    quality = [r for r in records if r.kind == "quality"]
    tasks = _count(len({r.task for r in quality}), "task")
    solvers = _count(len({r.solver for r in quality}), "estimator")
    parts = [
        f"{tasks} × {solvers}, {_count(len({r.seed for r in quality}), 'seed')}",
        " and ".join(_distinct(r.provenance.get("device") for r in records)),
        " and ".join(_distinct(r.settings.get("dtype") for r in quality)),
    ]
    if versions := _distinct(r.provenance.get("versions", {}).get("torch") for r in records):
        parts.append(f"torch {' and '.join(versions)}")
    if commits := _distinct(_commit(r) for r in records):
        parts.append(f"commit {commits[0]}" if len(commits) == 1 else f"{len(commits)} commits")
    return " · ".join(part for part in parts if part)


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _commit(record: Record) -> str:
    head = str(record.provenance.get("commit", ""))[:10]
    return f"{head} with changes" if head and record.provenance.get("dirty") else head


def provenance_facts(records: list[Record], store: Store, manifest: Manifest) -> dict[str, tuple[str, ...]]:
    """Lines on where the numbers come from, by their title on the page; nothing that is not known."""
    quality = [r for r in records if r.kind == "quality"]
    versions = [r.provenance.get("versions", {}) for r in records]
    of_package = {p: _distinct(v.get(p) for v in versions) for each in versions for p in each}
    facts = {
        "Profile": (f"{manifest.profile}. {manifest.summary}",),
        "Images": (manifest.images,),
        "Commit": _distinct(_commit(r) for r in records),
        "Device": _distinct(_device(r) for r in records),
        "Versions": (", ".join(f"{package} {' and '.join(found)}" for package, found in of_package.items()),),
        "Number type": _distinct(r.settings.get("dtype") for r in quality),
        "Seeds": (", ".join(str(seed) for seed in sorted({r.seed for r in quality})),),
        "Deterministic": (_determinism(records),),
    }
    for name in ("images", "training", "equilibrium", "oracle", "timing"):
        facts[f"Settings: {name}"] = _distinct(_settings(r, name) for r in records)
    facts["Measured"] = (_measured(records, store, manifest),)
    return {name: lines for name, lines in facts.items() if any(lines)}


def _device(record: Record) -> str:
    machine = record.provenance
    if not machine.get("device"):
        return ""
    parts = [machine["device"], machine.get("platform")]
    parts += [_count(machine[f"{word}s"], word) for word in ("core", "thread") if machine.get(f"{word}s")]
    parts.append(f"CUDA {machine['cuda']}" if machine.get("cuda") else "")
    return ", ".join(str(part) for part in parts if part)


def _determinism(records: list[Record]) -> str:
    if not any("undetermined" in r.provenance for r in records):
        return "the records do not say"
    operations = _distinct(name for r in records for name in r.provenance.get("undetermined") or [])
    if operations:
        return f"no: these operations have no deterministic implementation there: {', '.join(operations)}"
    return "yes: every operation that was used has a deterministic implementation"


def _settings(record: Record, name: str) -> str:
    table = record.settings.get(name)
    if not isinstance(table, dict):
        return ""
    return ", ".join(
        f"{key} = {json.dumps(table[key])}" for key in sorted(table) if table[key] not in (None, False)
    )


def _measured(records: list[Record], store: Store, manifest: Manifest) -> str:
    quality, cost = (sum(r.kind == kind for r in records) for kind in ("quality", "cost"))
    damaged = len(store.damaged(manifest.cells))
    others = {
        "not measured yet": len(manifest.cells) - len(records) - damaged,
        "damaged and not shown": damaged,
        "of older code, versions or settings and not shown": len(store.stale()),
    }
    parts = (f"{count} {words}" for words, count in others.items() if count)
    return "; ".join([f"{len(records)} records: {quality} of quality, {cost} of seconds", *parts])


def commands(manifest: Manifest, known: Iterable[str]) -> list[str]:
    """Commands that repeat this run and compare; ``DIR`` stands for the images, ``FOLDER`` for this run.

    Args:
        manifest: of the run.
        known: profiles that come with the project.
    """
    name = manifest.profile if manifest.profile in known else f"{manifest.profile}.toml"
    folder = "results/again"
    run = ["python", "-m", "bench", "run", name, "--out", folder, "--device", manifest.device]
    lines = [shlex.join(run) + ("" if manifest.images == "scikit-image" else " --images DIR")]
    return [*lines, shlex.join(["python", "-m", "bench", "compare", folder, "FOLDER"])]
