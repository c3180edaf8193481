"""File locks between processes. The system releases them when their owner ends, even if it is killed."""

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
"""Seconds between two tries to get a lock."""


@contextmanager
def file_lock(
    file: Path, *, shared: bool = False, wait: bool = False, deadline: float = math.inf
) -> Generator[bool]:
    """Lock ``file`` while the context is open.

    Two processes may both get the lock on a file system without locks; the first to publish a record wins there.

    Args:
        file: made if missing; it stays, empty.
        shared: other owners may share the lock.
        wait, deadline: wait until the lock is free or ``time.monotonic`` is at the deadline; otherwise try once.

    Yields:
        Whether this context has the lock.
    """
    try:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        yield True
        return
    operation = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    if not wait or deadline < math.inf:
        operation |= fcntl.LOCK_NB  # flock itself knows no deadline: try again and again
    try:
        while not (locked := _lock(handle, operation)) and wait and time.monotonic() < deadline:
            time.sleep(POLL)
        yield locked
    finally:
        os.close(handle)


def _lock(handle: int, operation: int) -> bool:
    try:
        fcntl.flock(handle, operation)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def machine_lock() -> Path:
    """The lock file of this user on this machine: computations share it, a timing has it alone."""
    return Path(tempfile.gettempdir()) / f"eqgrad-{os.getuid()}.lock"
