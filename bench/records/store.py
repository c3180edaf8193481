"""Records of measured cells: one JSON file each, written whole or not at all, and sealed by a checksum."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from ..utils.atomic_files import Unwritable, publish, remove_abandoned, write_atomically
from ..utils.errors import UserError
from .record import FINISHED, READABLE, SCHEMA, Record

KEY = re.compile(r"[\w-]{1,200}")
"""What may stand in the name of a file; above all no way out of the folder."""


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
            remove_abandoned(self.folder)
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


def load(folder: Path) -> list[Record]:
    """The records of a run. Raises ``UserError`` if there is no run or no quality record in ``folder``."""
    store = Store(folder)
    if store.manifest() is None:
        raise UserError(f"{folder} holds no run: make one with 'python -m bench run quick --out {folder}'")
    records = list(store.records())
    if not any(record.kind == "quality" for record in records):
        raise UserError(f"{folder} holds no finished cell: go on with 'python -m bench run … --out {folder}'")
    return records
