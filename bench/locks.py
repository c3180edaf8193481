"""Who is at work on what: locks that the system takes back when their owner ends, however it ends."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

POLL = 0.5
"""Seconds between looks at what another run is at."""


@contextmanager
def held(file: Path, *, shared: bool = False, wait: bool = False) -> Generator[bool]:
    """Hold a lock on ``file`` (made if missing) for as long as the context is open.

    A process that is killed lets go of it, so nothing has to be cleared up. Where the file system knows no locks
    nobody is kept out; records are published by their first writer even so.

    Args:
        file: stays behind, empty.
        shared: others may hold it in the same way.
        wait: until it is free; otherwise the context is told.

    Yields:
        Whether it is held.
    """
    try:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        yield True
        return
    try:
        how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
        try:
            fcntl.flock(handle, how)
            free = True
        except BlockingIOError:
            free = False
        except OSError:
            free = True
        yield free
    finally:
        os.close(handle)


def machine() -> Path:
    """The lock of this machine: shared by what computes, held alone by what is timed."""
    return Path(tempfile.gettempdir()) / f"eqgrad-{os.getuid()}.lock"
