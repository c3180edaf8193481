"""Files written whole or not at all, and never lost to another writer."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}\.part")
LEFT = 3600.0
"""Seconds after which nobody is writing a file any more."""


class Unwritable(OSError):  # noqa: N818
    """A folder takes no more files: the disk is full, or may only be read. One line that says what to do."""


def write_atomically(file: Path, content: str | bytes) -> None:
    """Write a file whole or not at all: a temporary one beside it, flushed to disk, then renamed.

    Raises:
        Unwritable: the disk is full, or may only be read.
    """
    with _flushed(file, content) as temporary:
        temporary.replace(file)


def publish(file: Path, content: str | bytes) -> bool:
    """The same, but a file that is there already stays. Whether this one was published.

    Raises:
        Unwritable: the disk is full, or may only be read.
    """
    with _flushed(file, content) as temporary:
        try:
            # Unlike a rename, a link never replaces anything: of two writers, the first one wins.
            os.link(temporary, file)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            if file.exists():
                return False
            temporary.replace(file)
        return True


def clear_up(folder: Path) -> None:
    """Remove the temporary files that writers left in a folder, and in those inside it, when they were killed."""
    now = time.time()
    for file in folder.rglob(".*"):
        with suppress(OSError):
            if TEMPORARY.fullmatch(file.name) and now - file.stat().st_mtime > LEFT:
                file.unlink()


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, unless it is there. Raises ``Unwritable`` as ``publish`` does."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(error, folder) from error


def _unwritable(error: OSError, file: Path) -> Unwritable:
    line = f"cannot write {file.name} in {file.parent}: {error.strerror}; what was finished is stored: make room, and "
    return Unwritable(error.errno, f"{line}run the same line again")


@contextmanager
def _flushed(file: Path, content: str | bytes) -> Generator[Path]:
    """A temporary file beside ``file`` with ``content``, on the disk; gone in the end if nobody renamed it."""
    data = content.encode() if isinstance(content, str) else content
    name = None
    try:
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.", suffix=".part")
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        yield Path(name)
        _flush(file.parent)
    except OSError as error:
        raise _unwritable(error, file) from error
    finally:
        if name is not None:
            with suppress(OSError):
                Path(name).unlink()


def _flush(folder: Path) -> None:
    """The names in a folder too, where the system lets one."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
