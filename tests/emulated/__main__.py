"""``python -m tests.emulated``: launches, waits and uploads of operators and solvers."""

from __future__ import annotations

import sys

from tests.emulated.table import main

if __name__ == "__main__":
    sys.exit(main())
