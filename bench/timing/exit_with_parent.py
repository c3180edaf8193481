"""Run a module that ends with the process that started it, however that ends.

The command is ``python -m bench.timing.exit_with_parent PIPE MODULE ARGUMENTS``.

The starter holds the other end of the pipe and never writes to it. Nothing is imported before the watch begins: a
library may take seconds, in which a starter may be killed.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def end_with(pipe: int) -> None:
    """Wait until nobody can write to ``pipe`` any more, and end this process."""
    os.read(pipe, 1)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=end_with, args=(int(sys.argv[1]),), daemon=True).start()
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
