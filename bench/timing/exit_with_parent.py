"""Run a module in a process that is killed when the process that started it ends.

    python -m bench.timing.exit_with_parent PIPE MODULE ARGUMENTS

The parent holds the other end of the pipe and never writes to it. Waiting starts before the module is imported: imports
take seconds, in which the parent may be killed.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def end_with(pipe: int) -> None:
    """Kill this process as soon as the other end of ``pipe`` is closed."""
    os.read(pipe, 1)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=end_with, args=(int(sys.argv[1]),), daemon=True).start()
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
