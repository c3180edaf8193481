"""Runs to compare, and which of their records measured the same thing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel

from ..analysis.tidy import Place, place
from ..config.profile_schema import EquilibriumTable, ImagesTable, OracleTable, TrainingTable
from ..operators.splitting import FORWARD_BACKWARD
from ..records.record import Kind, Record
from ..records.store import load
from ..utils.errors import UserError, unknown

DECIDES: dict[Kind, tuple[str, ...]] = {
    "quality": ("dtype", "images", "images_digest", "training", "equilibrium", "oracle"),
    "cost": ("dtype", "images", "images_digest"),
}
"""Settings that decide what a record measures. Two records of a cell that differ in one cannot be compared."""
TABLES: dict[str, type[BaseModel]] = {
    "images": ImagesTable,
    "training": TrainingTable,
    "equilibrium": EquilibriumTable,
    "oracle": OracleTable,
}
MENTIONED = ("device", "threads", "execution")
"""Settings that may differ, with a warning."""
Pair = tuple[Record, Record]
"""A record of the run and its counterpart in the reference."""


@dataclass(frozen=True, slots=True)
class StoredRun:
    """Records of a run under a label."""

    label: str
    records: tuple[Record, ...]

    def of(self, kind: Kind) -> list[Record]:
        """Its records of a kind."""
        return [record for record in self.records if record.kind == kind]


@dataclass(frozen=True, slots=True)
class PairedRecords:
    """Records of a run and its reference that measured the same thing.

    Attributes:
        both: pairs.
        missing: records of the reference only.
        new: records of the run only.
        apart: pairs of the same cell under settings that differ, and which settings.
    """

    both: tuple[Pair, ...]
    missing: tuple[Record, ...]
    new: tuple[Record, ...]
    apart: tuple[tuple[Record, Record, str], ...]

    def of(self, kind: Kind) -> list[Pair]:
        """The pairs of a kind."""
        return [pair for pair in self.both if pair[0].kind == kind]

    def by_place(self, kind: Kind) -> dict[Place, list[Pair]]:
        """The pairs of a kind by cell, its seeds together."""
        cells: dict[Place, list[Pair]] = {}
        for record, reference in self.of(kind):
            cells.setdefault(place(reference), []).append((record, reference))
        return cells

    def lost(self, kind: Kind) -> list[tuple[Record, str]]:
        """Records of the reference without a counterpart, and why."""
        records = [(record, "in the reference and not here") for record in self.missing]
        records += [(record, f"cannot be compared: {differ} differ") for _, record, differ in self.apart]
        return [(record, why) for record, why in records if record.kind == kind]


def read_stored_run(folder: Path) -> StoredRun:
    """The run in a folder. Raises ``UserError`` if there is none."""
    return StoredRun(str(folder), tuple(load(folder)))


def pairs(run: StoredRun, reference: StoredRun) -> PairedRecords:
    """Pair the cells of two runs, in the order of the reference.

    Raises:
        UserError: they have no cell in common, or none that was measured under the same settings.
    """
    here = {record.identity: record for record in run.records}
    there = {record.identity: record for record in reference.records}
    both, apart = [], []
    for identity, expected in there.items():
        if identity in here:
            differ = _apart(here[identity], expected)
            if differ:
                apart.append((here[identity], expected, differ))
            else:
                both.append((here[identity], expected))
    names = f"{run.label} and {reference.label}"
    if not both and not apart:
        raise UserError(f"{names} have no cell in common: compare runs of the same profile")
    if not any(record.kind == "quality" for record, _ in both):
        words = apart[0][2] if apart else "cells"
        raise UserError(f"{names} differ in {words}: compare runs of the same profile and the same images")
    missing = [record for identity, record in there.items() if identity not in here]
    new = [record for identity, record in here.items() if identity not in there]
    return PairedRecords(tuple(both), tuple(missing), tuple(new), tuple(apart))


def _apart(record: Record, reference: Record) -> str:
    """Settings in which two records of a cell differ so that they cannot be compared."""
    names = DECIDES[record.kind]
    return ", ".join(name for name in names if _setting(record, name) != _setting(reference, name))


def _setting(record: Record, name: str) -> object:
    """A setting; entries that its table gained after the record was stored have their defaults."""
    value = record.settings.get(name)
    if name not in TABLES or not isinstance(value, dict):
        return value
    fields = TABLES[name].model_fields.items()
    return {field: info.default for field, info in fields if not info.is_required()} | value


def solver_pair(run: StoredRun, solver: str, against: str) -> tuple[StoredRun, StoredRun]:
    """The records of two solvers of a run as two runs. Both get one solver name, so that the records pair.

    Args:
        run: that has both.
        solver, against: as in the tables; spaces do not matter.

    Raises:
        UserError: the run lacks one of them, or they are the same.
    """
    chosen = [_solver(run, name) for name in (solver, against)]
    if chosen[0] == chosen[1]:
        raise UserError(f"--solver and --against are both {chosen[0]}: name two solvers")
    both = " against ".join(chosen)

    def part(name: str) -> StoredRun:
        same = {"solver": both, "operator": FORWARD_BACKWARD}
        records = (replace(record, **same) for record in run.records if record.method == name)
        return StoredRun(name, tuple(records))

    return part(chosen[0]), part(chosen[1])


def _solver(run: StoredRun, name: str) -> str:
    known = dict.fromkeys(record.method for record in run.records)
    for solver in known:
        if solver.replace(" ", "") == name.replace(" ", ""):
            return solver
    raise unknown(f"solver of {run.label}", name, known)


def run_description(run: StoredRun) -> list[str]:
    """Machine, commit, versions and numbers of records of a run, one line each; all values if records differ."""
    records = run.records
    settings = ", ".join(f"{name} {_setting_text(records, name)}" for name in MENTIONED)
    versions = ", ".join(f"{name} {version}" for name, version in _versions(records).items())
    failed = Counter(record.status for record in records if record.status != "ok")
    return [
        f"machine: {_distinct(records, lambda r: r.provenance.get('device', 'unknown'))}; {settings}",
        f"commit: {_distinct(records, _commit)}; sources: "
        + _distinct(records, lambda r: r.provenance.get("fingerprint", "unknown")),
        f"versions: {versions or 'unknown'}",
        f"records: {len(run.of('quality'))} of quality, {len(run.of('cost'))} timings"
        + "".join(f", {count} {status}" for status, count in sorted(failed.items())),
    ]


def _commit(record: Record) -> str:
    commit = record.provenance.get("commit")
    dirty = " with changes that are not in it" if record.provenance.get("dirty") else ""
    return f"{commit[:8]}{dirty}" if commit else "unknown"


def _versions(records: Iterable[Record]) -> dict[str, str]:
    several: dict[str, dict[str, None]] = {}
    for record in records:
        for name, version in record.provenance.get("versions", {}).items():
            several.setdefault(name, {})[str(version)] = None
    return {name: " and ".join(versions) for name, versions in sorted(several.items())}


def _setting_text(records: Iterable[Record], name: str) -> str:
    return _distinct(records, lambda record: record.settings.get(name, "?"))


def _distinct(records: Iterable[Record], of: Callable[[Record], Hashable]) -> str:
    return " and ".join(str(value) for value in dict.fromkeys(of(record) for record in records))


def warnings(run: StoredRun, reference: StoredRun, paired: PairedRecords) -> list[str]:
    """What a reader has to know before the tables, one line each."""
    lines = []
    if paired.apart:
        differences = Counter(differ for _, _, differ in paired.apart)
        counts = "; ".join(f"{count} in {differ}" for differ, count in differences.items())
        lines.append(f"{len(paired.apart)} records left out, their settings differ: {counts}")
    for records, label in ((paired.missing, reference.label), (paired.new, run.label)):
        if records:
            lines.append(f"{len(records)} records of {label} have no counterpart")
    for name in MENTIONED:
        here, there = (_setting_text(one.records, name) for one in (run, reference))
        if here != there:
            lines.append(f"{name} differs: {here} here, {there} there")
    here, there = _versions(run.records), _versions(reference.records)
    differ = [
        f"{name} {here.get(name, 'none')} here, {there.get(name, 'none')} there"
        for name in sorted({*here, *there})
        if here.get(name) != there.get(name)
    ]
    return [*lines, "versions differ: " + "; ".join(differ)] if differ else lines
