"""A folder of records: one JSON file for each measured cell, written completely or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter

from ..utils.atomic_files import Unwritable, publish, remove_abandoned, write_atomically
from ..utils.errors import UserError
from .record import FINISHED, READABLE, SCHEMA, Record

Key = Annotated[str, Field(pattern=r"^[\w-]{1,200}$")]
"""A key is the name of a file, and must not lead out of its folder."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The run that a folder holds. ``cells`` are the keys of the last run's cells, in order."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    profile: str
    summary: str
    images: str
    device: str
    cells: list[Key]
    schema: int = SCHEMA

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Parse a manifest. Raises ``ValueError`` if ``text`` is none, or a key in it cannot be a file's name."""
        return _MANIFEST.validate_json(text, strict=True)


_MANIFEST = TypeAdapter(Manifest)


def _of_early_kill(file: Path) -> bool:
    """Whether a run that was killed before it wrote its manifest may have left a file."""
    return file.name in ("rows", "locks") or file.name.startswith(".manifest.json.")


class Store:
    """The folder of a run. Reading never writes; every write is atomic, and the first writer wins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = folder / "rows"

    def lock(self, key: str) -> Path:
        """The file that a process locks while it measures a cell."""
        return self.folder / "locks" / key

    def manifest(self) -> Manifest | None:
        """Read the manifest; ``None`` if the folder holds no run. Raises ``UserError`` if it is broken."""
        file = self.folder / "manifest.json"
        try:
            manifest = Manifest.from_json(file.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise UserError(f"cannot read {file}: {error.strerror}: choose another folder") from error
        except ValueError as error:
            raise UserError(f"{file} is broken: remove it, or choose another --out") from error
        if manifest.schema not in READABLE:
            raise UserError(
                f"{self.folder} was written with schema {manifest.schema}, not {SCHEMA}: choose another --out"
            )
        return manifest

    def claim(self, manifest: Manifest) -> None:
        """Write the manifest of a run, and make the folder if it is missing.

        Raises:
            UserError: the folder is a file, cannot be written, or holds other files or a run of another profile.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"--out {self.folder} is a file: choose a folder")
        before = self.manifest()
        if before is None and self.folder.is_dir() and not all(map(_of_early_kill, self.folder.iterdir())):
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
            remove_abandoned(self.folder)
        except OSError as error:
            cause = error.__cause__ if isinstance(error, Unwritable) else error
            raise UserError(
                f"cannot write to --out {self.folder}: {getattr(cause, 'strerror', error)}"
            ) from error

    def read(self, key: str) -> Record | None:
        """Read the record of a cell; ``None`` if it is missing or damaged."""
        try:
            record = Record.from_json((self.rows / f"{key}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError):
            return None
        return record if record.key == key else None

    def finished(self, key: str) -> bool:
        """Whether a cell need not run again."""
        record = self.read(key)
        return record is not None and record.status in FINISHED

    def write(self, record: Record) -> None:
        """Write a record, unless a finished one of its key exists.

        Raises:
            Unwritable: the disk is full or read-only.
        """
        file, content = self.rows / f"{record.key}.json", record.to_json() + "\n"
        if not publish(file, content) and not self.finished(record.key):
            write_atomically(file, content)

    def damaged(self, keys: Iterable[str]) -> list[str]:
        """Keys whose record exists and is cut short, changed, or of another cell."""
        return [key for key in keys if (self.rows / f"{key}.json").exists() and self.read(key) is None]

    def set_aside(self, key: str) -> Path:
        """Move a damaged record to ``damaged/``, so that its cell runs again. Returns its new path."""
        folder = self.folder / "damaged"
        try:
            folder.mkdir(exist_ok=True)
            number = sum(1 for _ in folder.glob(f"{key}.*"))
            return (self.rows / f"{key}.json").replace(folder / f"{key}.{number}.json")
        except OSError as error:
            raise UserError(f"cannot set aside the damaged record {key}.json: {error.strerror}") from error

    def records(self) -> Iterator[Record]:
        """Read the records of the last run's cells, in its order; missing and damaged ones are left out."""
        manifest = self.manifest()
        records = (self.read(key) for key in (manifest.cells if manifest else []))
        return (record for record in records if record is not None)

    def stale(self) -> list[str]:
        """Keys of records of no cell of the last run: their code, versions or settings were others."""
        manifest = self.manifest()
        current = set(manifest.cells) if manifest else set()
        return sorted(file.stem for file in self.rows.glob("*.json") if file.stem not in current)


def load(folder: Path) -> list[Record]:
    """Read the records of a run. Raises ``UserError`` if ``folder`` holds no run or no quality record."""
    store = Store(folder)
    if store.manifest() is None:
        raise UserError(f"{folder} holds no run: make one with 'python -m bench run quick --out {folder}'")
    records = list(store.records())
    if not any(record.kind == "quality" for record in records):
        raise UserError(f"{folder} holds no finished cell: go on with 'python -m bench run … --out {folder}'")
    return records
