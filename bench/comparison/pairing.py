"""Runs to compare, what each is of, and which of their records measured the same thing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel

from ..config.profile_schema import EquilibriumTable, ImagesTable, OracleTable, TrainingTable
from ..records.record import Kind, Record
from ..records.store import load
from ..utils.errors import UserError, unknown

DECIDES: dict[Kind, tuple[str, ...]] = {
    "quality": ("dtype", "images", "images_digest", "training", "equilibrium", "oracle"),
    "cost": ("dtype", "images", "images_digest"),
}
"""Settings under which two records of the same cell measured something else. Machines and threads may differ."""
TABLES: dict[str, type[BaseModel]] = {
    "images": ImagesTable,
    "training": TrainingTable,
    "equilibrium": EquilibriumTable,
    "oracle": OracleTable,
}
MENTIONED = ("device", "threads", "execution")
"""Settings that are a machine's or a choice, and told."""


@dataclass(frozen=True, slots=True)
class StoredRun:
    """Records that are looked at together, under a name."""

    label: str
    records: tuple[Record, ...]

    def of(self, kind: Kind) -> list[Record]:
        """Its records of a kind."""
        return [record for record in self.records if record.kind == kind]


@dataclass(frozen=True, slots=True)
class PairedRecords:
    """Records of two runs that measured the same thing.

    Attributes:
        both: here and there.
        missing: in the reference only.
        new: here only.
        apart: the same cell under other settings, which says nothing: here, there, and which settings.
    """

    both: tuple[tuple[Record, Record], ...]
    missing: tuple[Record, ...]
    new: tuple[Record, ...]
    apart: tuple[tuple[Record, Record, str], ...]

    def of(self, kind: Kind) -> list[tuple[Record, Record]]:
        """The pairs of a kind."""
        return [pair for pair in self.both if pair[0].kind == kind]

    def lost(self, kind: Kind) -> list[tuple[Record, str]]:
        """Records of the reference that nothing here is held against, and why."""
        found = [(record, "in the reference and not here") for record in self.missing]
        found += [(record, f"cannot be compared: {differ} differ") for _, record, differ in self.apart]
        return [(record, why) for record, why in found if record.kind == kind]


def read_run(folder: Path) -> StoredRun:
    """The run in a folder. Raises ``UserError`` where there is none."""
    return StoredRun(str(folder), tuple(load(folder)))


def pairs(run: StoredRun, reference: StoredRun) -> PairedRecords:
    """The cells of two runs side by side, in the reference's order.

    Raises:
        UserError: they have no cell in common, or none that was measured under the same settings.
    """
    here = {record.identity: record for record in run.records}
    there = {record.identity: record for record in reference.records}
    both, apart = [], []
    for identity, expected in there.items():
        if identity in here:
            found = here[identity]
            differ = _apart(found, expected)
            if differ:
                apart.append((found, expected, differ))
            else:
                both.append((found, expected))
    names = f"{run.label} and {reference.label}"
    if not both and not apart:
        raise UserError(f"{names} have no cell in common: compare runs of the same profile")
    if not any(found.kind == "quality" for found, _ in both):
        words = apart[0][2] if apart else "cells"
        raise UserError(f"{names} differ in {words}: compare runs of the same profile and the same images")
    missing = [record for identity, record in there.items() if identity not in here]
    new = [record for identity, record in here.items() if identity not in there]
    return PairedRecords(tuple(both), tuple(missing), tuple(new), tuple(apart))


def _apart(found: Record, expected: Record) -> str:
    """The settings in which two records of a cell differ so that they cannot be compared."""
    names = DECIDES[found.kind]
    return ", ".join(n for n in names if _setting(found, n) != _setting(expected, n))


def _setting(record: Record, name: str) -> object:
    """A setting; of a table that has gained entries since, those with the defaults that they came with."""
    value = record.settings.get(name)
    if name not in TABLES or not isinstance(value, dict):
        return value
    fields = TABLES[name].model_fields.items()
    return {field: info.default for field, info in fields if not info.is_required()} | value


def solvers(run: StoredRun, solver: str, against: str) -> tuple[StoredRun, StoredRun]:
    """What a run has of two solvers, each under one name, so that their records pair.

    Args:
        solver, against: as in the tables; spaces do not matter.

    Raises:
        UserError: the run does not have one of them, or they are the same.
    """
    chosen = [_named(run, name) for name in (solver, against)]
    if chosen[0] == chosen[1]:
        raise UserError(f"--solver and --against are both {chosen[0]}: name two solvers")
    both = " against ".join(chosen)

    def part(name: str) -> StoredRun:
        records = (replace(record, solver=both) for record in run.records if record.solver == name)
        return StoredRun(name, tuple(records))

    return part(chosen[0]), part(chosen[1])


def _named(run: StoredRun, name: str) -> str:
    known = dict.fromkeys(record.solver for record in run.records)
    for solver in known:
        if solver.replace(" ", "") == name.replace(" ", ""):
            return solver
    raise unknown(f"solver of {run.label}", name, known)


def description(run: StoredRun) -> list[str]:
    """What a run was measured on and with, a line each; where its records differ, all that they say."""
    records = run.records
    version = _versions(records)
    return [
        f"machine: {_listed(records, lambda r: r.provenance.get('device', 'unknown'))}; "
        + ", ".join(
            f"{name} {_listed(records, lambda r, n=name: r.settings.get(n, '?'))}" for name in MENTIONED
        ),
        f"commit: {_listed(records, _commit)}; sources: "
        + _listed(records, lambda r: r.provenance.get("fingerprint", "unknown")),
        "versions: " + (", ".join(f"{name} {version[name]}" for name in version) or "unknown"),
        f"records: {len(run.of('quality'))} of quality, {len(run.of('cost'))} timings"
        + "".join(f", {count} {status}" for status, count in sorted(_failed(records).items())),
    ]


def _failed(records: Iterable[Record]) -> Counter[str]:
    return Counter(record.status for record in records if record.status != "ok")


def _commit(record: Record) -> str:
    commit = record.provenance.get("commit")
    dirty = " with changes that are not in it" if record.provenance.get("dirty") else ""
    return f"{commit[:8]}{dirty}" if commit else "unknown"


def _versions(records: Iterable[Record]) -> dict[str, str]:
    several: dict[str, dict[str, None]] = {}
    for record in records:
        for name, version in record.provenance.get("versions", {}).items():
            several.setdefault(name, {})[str(version)] = None
    return {name: " and ".join(found) for name, found in sorted(several.items())}


def _listed(records: Iterable[Record], of: Callable[[Record], Hashable]) -> str:
    return " and ".join(str(value) for value in dict.fromkeys(of(record) for record in records))


def warnings(run: StoredRun, reference: StoredRun, paired: PairedRecords) -> list[str]:
    """What a reader has to know before the tables, a line each."""
    lines = []
    if paired.apart:
        words = Counter(differ for _, _, differ in paired.apart)
        told = "; ".join(f"{count} in {differ}" for differ, count in words.items())
        lines.append(f"{len(paired.apart)} records left out, their settings differ: {told}")
    if paired.missing:
        lines.append(f"{len(paired.missing)} records of {reference.label} have no counterpart")
    if paired.new:
        lines.append(f"{len(paired.new)} records of {run.label} have no counterpart")
    for name in MENTIONED:
        here, there = (_listed(r.records, lambda x: x.settings.get(name, "?")) for r in (run, reference))  # noqa: B023
        if here != there:
            lines.append(f"{name} differs: {here} here, {there} there")
    one, other = _versions(run.records), _versions(reference.records)
    differ = [
        f"{name} {one.get(name, 'none')} here, {other.get(name, 'none')} there"
        for name in sorted({*one, *other})
        if one.get(name) != other.get(name)
    ]
    if differ:
        lines.append("versions differ: " + "; ".join(differ))
    return lines
