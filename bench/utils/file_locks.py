"""Who is at work on what: locks that the system takes back when their owner ends, however it ends."""

from __future__ import annotations

import fcntl
import math
import os
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

POLL = 0.5
"""Seconds between looks at what another run is at."""


@contextmanager
def held(file: Path, *, shared: bool = False, wait: bool = False, end: float = math.inf) -> Generator[bool]:
    """Hold a lock on ``file`` (made if missing) for as long as the context is open.

    A process that is killed lets go of it, so nothing has to be cleared up. Where the file system knows no locks
    nobody is kept out; records are published by their first writer even so.

    Args:
        file: stays behind, empty.
        shared: others may hold it in the same way.
        wait: until it is free; otherwise the context is told.
        end: on the clock of ``time.monotonic``, when waiting ends; the context is told then, too.

    Yields:
        Whether it is held.
    """
    try:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        yield True
        return
    try:
        how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (
            0 if wait and math.isinf(end) else fcntl.LOCK_NB
        )
        while not (free := _locked(handle, how)) and wait and time.monotonic() < end:
            time.sleep(POLL)
        yield free
    finally:
        os.close(handle)


def _locked(handle: int, how: int) -> bool:
    """Whether the lock is ours now."""
    try:
        fcntl.flock(handle, how)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def machine() -> Path:
    """The lock of this machine: shared by what computes, held alone by what is timed."""
    return Path(tempfile.gettempdir()) / f"eqgrad-{os.getuid()}.lock"
