"""Records of measured cells: one JSON file each, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import torch

from . import provenance
from .errors import UserError
from .matrix import Cell, Profile

SCHEMA = 1
Kind = Literal["quality", "cost"]
FINISHED = frozenset({"ok", "nan", "diverged"})
"""Outcomes that a further run would only repeat. An ``error`` is tried again."""


@dataclass(frozen=True, slots=True)
class Record:
    """What was measured of one cell, raw.

    Attributes:
        key: digest of everything that decides the result.
        kind: ``quality`` (accuracy, training, memory) or ``cost`` (seconds, measured alone).
        task, solver: as they are written on the command line.
        composition: the solver as reach × pull.
        seed: of crops, masks, noise and the order of training.
        status: ``ok``, ``nan``, ``diverged`` or ``error``.
        reason: why it is not ``ok``, in a line.
        settings: dtype, device kind, images and the profile's tables.
        values: numbers and lists of numbers; ``null`` where a number is not finite.
        provenance: versions, device, commit.
    """

    key: str
    kind: Kind
    task: str
    solver: str
    composition: str
    seed: int
    status: str
    reason: str
    settings: dict[str, Any]
    values: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def crop(self) -> int:
        """The side of its images in pixels; 0 where nothing is known of them."""
        return self.settings.get("images", {}).get("crop", 0)

    @property
    def batch(self) -> int:
        """Crops in a training step: no more than there are; 0 where nothing is known of them."""
        size = self.settings.get("training", {}).get("batch", 0)
        return min(size, self.settings.get("images", {}).get("train", size))

    @property
    def identity(self) -> tuple[str, str, int, int, str, int]:
        """What two runs have in common when they measured the same thing."""
        return self.kind, self.task, self.crop, self.batch, self.solver, self.seed

    def to_json(self) -> str:
        """One JSON object on one line, keys sorted, no ``NaN``."""
        return json.dumps(finite(asdict(self)), sort_keys=True, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Record:
        """The record in ``text``. Raises ``ValueError`` if it is not one."""
        found = json.loads(text)
        names = {f.name for f in fields(cls)}
        if not isinstance(found, dict) or set(found) != names:
            raise ValueError("not a record")
        return cls(**found)


def finite(value: Any) -> Any:
    """``value`` with ``None`` for every number that JSON cannot hold."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return value


def settings(profile: Profile, images: str, device: torch.device, kind: Kind) -> dict[str, Any]:
    """What of a profile decides a cell's result, beside its task, solver and seed."""
    tables = (
        ("images", "training", "timing")
        if kind == "cost"
        else ("images", "training", "equilibrium", "oracle")
    )
    return {
        "dtype": profile.dtype,
        "threads": profile.threads,
        "step": profile.step,
        "device": device.type,
        # Seconds belong to a machine; the rest does not.
        "machine": provenance.device_name(device) if kind == "cost" else None,
        "images_digest": images,
        **{name: getattr(profile, name).model_dump() for name in tables},
    }


def key_of(cell: Cell, given: dict[str, Any], kind: Kind) -> str:
    """Digest of everything that decides the result of a cell."""
    decides = {
        "schema": SCHEMA,
        "kind": kind,
        "task": repr(cell.task),
        "solver": repr(cell.solver),
        "seed": cell.seed,
        "settings": given,
        "fingerprint": provenance.fingerprint(),
        "versions": provenance.versions(),
    }
    text = json.dumps(decides, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the records of a folder belong to. ``cells`` holds the keys of the last run's matrix, in order."""

    profile: str
    summary: str
    images: str
    device: str
    cells: list[str]
    schema: int = SCHEMA


class Store:
    """A folder of records. Reading never writes; every write is atomic, and the first writer wins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = folder / "rows"

    def manifest(self) -> Manifest | None:
        """What the folder belongs to; ``None`` if it holds no run. Raises ``UserError`` if it is broken."""
        file = self.folder / "manifest.json"
        try:
            found = Manifest(**json.loads(file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise UserError(f"{file} is broken: remove it, or choose another --out") from error
        if found.schema != SCHEMA:
            raise UserError(
                f"{self.folder} was written with schema {found.schema}, not {SCHEMA}: choose another --out"
            )
        return found

    def claim(self, manifest: Manifest) -> None:
        """Make the folder this run's.

        Raises:
            UserError: it is not a folder, cannot be written, or belongs to another profile.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"--out {self.folder} is a file: choose a folder")
        before = self.manifest()
        if before is None and self.folder.is_dir() and any(self.folder.iterdir()):
            raise UserError(f"--out {self.folder} holds other files and no run: choose an empty folder")
        for name in ("profile", "images", "device"):
            if before is not None and getattr(before, name) != getattr(manifest, name):
                raise UserError(
                    f"--out {self.folder} holds a run of {name} {getattr(before, name)!r}, "
                    f"not {getattr(manifest, name)!r}: choose another --out"
                )
        try:
            self.rows.mkdir(parents=True, exist_ok=True)
            write_atomically(self.folder / "manifest.json", json.dumps(asdict(manifest), indent=1) + "\n")
        except OSError as error:
            raise UserError(f"cannot write to --out {self.folder}: {error.strerror}") from error

    def read(self, key: str) -> Record | None:
        """The record of a cell; ``None`` if there is none that can be read."""
        try:
            return Record.from_json((self.rows / f"{key}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError):
            return None

    def finished(self, key: str) -> bool:
        """Whether a cell is done for good."""
        record = self.read(key)
        return record is not None and record.status in FINISHED

    def write(self, record: Record) -> None:
        """Publish a record; a finished one that is already there stays."""
        if not self.finished(record.key):
            write_atomically(self.rows / f"{record.key}.json", record.to_json() + "\n")

    def records(self) -> Iterator[Record]:
        """The records of the last run's matrix that are there, in its order."""
        manifest = self.manifest()
        for key in manifest.cells if manifest else []:
            record = self.read(key)
            if record is not None:
                yield record

    def stale(self) -> list[str]:
        """Keys of records that belong to no cell of the last run: older code, versions or settings."""
        manifest = self.manifest()
        current = set(manifest.cells) if manifest else set()
        return sorted(file.stem for file in self.rows.glob("*.json") if file.stem not in current)


def write_atomically(file: Path, content: str | bytes) -> None:
    """Write a file whole or not at all: a temporary one beside it, flushed to disk, then renamed."""
    data = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(file)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
