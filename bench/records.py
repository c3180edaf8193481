"""Records of measured cells: one JSON file each, written whole or not at all, and sealed by a checksum."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import torch

from . import provenance
from .errors import UserError
from .files import Unwritable, clear_up, publish, write_atomically
from .matrix import Cell, Profile

SCHEMA = 3
"""3: random streams of their own, counts in whole batches, errors over draws, losses at the equilibrium."""
READABLE = frozenset({2, SCHEMA})
"""Schemas that tables and comparisons still read; what an older one did not measure is missing from them."""
Kind = Literal["quality", "cost"]
KEY = re.compile(r"[\w-]{1,200}")
"""What may stand in the name of a file; above all no way out of the folder."""
FINISHED = frozenset({"ok", "nan", "diverged"})
"""Outcomes that a further run would only repeat. Any other is tried again."""


@dataclass(frozen=True, slots=True)
class Record:
    """What was measured of one cell, raw.

    Attributes:
        key: digest of everything that decides the result.
        kind: ``quality`` (accuracy, training, memory) or ``cost`` (seconds, measured alone).
        task, solver: as they are written on the command line.
        composition: the solver as reach × pull.
        seed: of crops, masks, noise and the order of training.
        status: ``ok``, ``nan``, ``diverged``; ``error``, ``oom`` (out of memory), ``timeout`` or ``killed``.
        reason: why it is not ``ok``, in a line.
        settings: dtype, device kind, images and the profile's tables; ``files``, the user's own by their digests,
            where the task or the solver is from one.
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
        """One JSON object on one line, keys sorted, no ``NaN``; with the ``checksum`` of everything else."""
        content = finite(asdict(self))
        return _line(content | {"checksum": _checksum(content)})

    @classmethod
    def from_json(cls, text: str) -> Record:
        """The record in ``text``. Raises ``ValueError`` if it is not one, or was cut short or changed."""
        try:
            found = json.loads(text)
        except RecursionError as error:
            raise ValueError("not a record") from error
        if not isinstance(found, dict) or set(found) != {f.name for f in fields(cls)} | {"checksum"}:
            raise ValueError("not a record")
        try:
            fits = found.pop("checksum") == _checksum(found)
        except RecursionError as error:
            raise ValueError("not a record") from error
        if not fits:
            raise ValueError("its checksum does not fit")
        if not all(isinstance(found[name], kind) for name, kind in TYPES.items()):
            raise ValueError("not a record")
        return cls(**found)


TYPES = {
    **dict.fromkeys(("key", "kind", "task", "solver", "composition", "status", "reason"), str),
    "seed": int,
    **dict.fromkeys(("settings", "values", "provenance"), dict),
}


def _line(content: dict[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(_line(content).encode()).hexdigest()[:16]


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
    if cell.files:
        decides["files"] = cell.files
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

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """The manifest in ``text``. Raises ``ValueError`` if it is none, or a key in it is no name of a file."""
        try:
            found = cls(**json.loads(text))
        except (RecursionError, TypeError) as error:
            raise ValueError("not a manifest") from error
        texts = (found.profile, found.summary, found.images, found.device)
        if not all(isinstance(text, str) for text in texts) or not isinstance(found.schema, int):
            raise ValueError("not a manifest")
        if not isinstance(found.cells, list) or not all(
            isinstance(key, str) and KEY.fullmatch(key) for key in found.cells
        ):
            raise ValueError("not keys of records")
        return found


def _ours(file: Path) -> bool:
    """Whether a run that was killed before it had its manifest may have left this."""
    return file.name in ("rows", "locks") or file.name.startswith(".manifest.json.")


class Store:
    """A folder of records. Reading never writes; every write is atomic, and the first writer wins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = folder / "rows"

    def lock(self, key: str) -> Path:
        """The file whose lock whoever measures a cell holds."""
        return self.folder / "locks" / key

    def manifest(self) -> Manifest | None:
        """What the folder belongs to; ``None`` if it holds no run. Raises ``UserError`` if it is broken."""
        file = self.folder / "manifest.json"
        try:
            found = Manifest.from_json(file.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise UserError(f"cannot read {file}: {error.strerror}: choose another folder") from error
        except ValueError as error:
            raise UserError(f"{file} is broken: remove it, or choose another --out") from error
        if found.schema not in READABLE:
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
        if before is None and self.folder.is_dir() and any(not _ours(f) for f in self.folder.iterdir()):
            raise UserError(f"--out {self.folder} holds other files and no run: choose an empty folder")
        for name in ("schema", "profile", "images", "device"):
            if before is not None and getattr(before, name) != getattr(manifest, name):
                raise UserError(
                    f"--out {self.folder} holds a run of {name} {getattr(before, name)!r}, "
                    f"not {getattr(manifest, name)!r}: choose another --out"
                )
        try:
            self.rows.mkdir(parents=True, exist_ok=True)
            (self.folder / "locks").mkdir(exist_ok=True)
            write_atomically(self.folder / "manifest.json", json.dumps(asdict(manifest), indent=1) + "\n")
            clear_up(self.folder)
        except OSError as error:
            cause = error.__cause__ if isinstance(error, Unwritable) else error
            raise UserError(
                f"cannot write to --out {self.folder}: {getattr(cause, 'strerror', error)}"
            ) from error

    def read(self, key: str) -> Record | None:
        """The record of a cell; ``None`` if there is none, or none that is whole."""
        try:
            found = Record.from_json((self.rows / f"{key}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError):
            return None
        return found if found.key == key else None

    def finished(self, key: str) -> bool:
        """Whether a cell is done for good."""
        record = self.read(key)
        return record is not None and record.status in FINISHED

    def write(self, record: Record) -> None:
        """Publish a record; a finished one that is already there stays, whoever wrote it.

        Raises:
            Unwritable: the disk is full, or may only be read.
        """
        file, content = self.rows / f"{record.key}.json", record.to_json() + "\n"
        if not publish(file, content) and not self.finished(record.key):
            write_atomically(file, content)

    def damaged(self, keys: Iterable[str]) -> list[str]:
        """Those of ``keys`` whose record is there and is not whole: cut short, changed, or of another cell."""
        return [key for key in keys if (self.rows / f"{key}.json").exists() and self.read(key) is None]

    def set_aside(self, key: str) -> Path:
        """Move a damaged record out of the way, under ``damaged/``, so that its cell runs again; where it is now."""
        folder = self.folder / "damaged"
        try:
            folder.mkdir(exist_ok=True)
            number = sum(1 for _ in folder.glob(f"{key}.*"))
            return (self.rows / f"{key}.json").replace(folder / f"{key}.{number}.json")
        except OSError as error:
            raise UserError(f"cannot set aside the damaged record {key}.json: {error.strerror}") from error

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
