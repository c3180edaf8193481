"""Atomic file writes: a file appears whole or not at all, also after a crash or with several writers."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}\.part")
ABANDONED = 3600.0
"""Age in seconds from which a temporary file no longer has a writer."""


class Unwritable(OSError):  # noqa: N818
    """A file cannot be written: the disk is full or read-only. ``strerror`` is one line that says what to do."""


def write_atomically(file: Path, content: str | bytes) -> None:
    """Write a temporary file in the same folder, flush it to disk and rename it. Raises ``Unwritable``."""
    with _temporary(file, content) as temporary:
        temporary.replace(file)


def publish(file: Path, content: str | bytes) -> bool:
    """Write ``file`` atomically unless it exists. Returns whether this call wrote it. Raises ``Unwritable``."""
    with _temporary(file, content) as temporary:
        try:
            # Unlike a rename, a link never replaces a file: of two writers, the first one wins.
            os.link(temporary, file)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            if file.exists():
                return False
            temporary.replace(file)
        return True


def remove_abandoned(folder: Path) -> None:
    """Remove temporary files of killed writers from ``folder`` and its subfolders."""
    now = time.time()
    for file in folder.rglob(".*"):
        with suppress(OSError):
            if TEMPORARY.fullmatch(file.name) and now - file.stat().st_mtime > ABANDONED:
                file.unlink()


def make_folder(folder: Path) -> None:
    """Make a folder and its parents if missing. Raises ``Unwritable``."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(error, folder) from error


def _unwritable(error: OSError, file: Path) -> Unwritable:
    line = f"cannot write {file.name} in {file.parent}: {error.strerror}; finished cells are stored: make room and run "
    return Unwritable(error.errno, f"{line}the same command again")


@contextmanager
def _temporary(file: Path, content: str | bytes) -> Generator[Path]:
    """A temporary file beside ``file`` with ``content``, flushed to disk; removed at the end unless renamed."""
    name = None
    try:
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.", suffix=".part")
        with os.fdopen(handle, "wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)  # mkstemp allows the owner alone to read
        yield Path(name)
        with suppress(OSError):
            _flush_folder(file.parent)
    except OSError as error:
        raise _unwritable(error, file) from error
    finally:
        if name is not None:
            with suppress(OSError):
                Path(name).unlink()


def _flush_folder(folder: Path) -> None:
    """Flush the names in a folder: a renamed file survives a crash only with its name on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
