"""The benchmark: solvers × imaging tasks × depths, measured, stored and reported."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout; where eqgrad is installed as a wheel, its package."""
INSTALLED = __name__ != "bench"
"""Whether this is a wheel, whose packages have other names."""
IMPORTED_FROM = ROOT.parent if INSTALLED else ROOT
"""The folder on the path that has the packages."""
MOVED = {
    "bench.cost.parts": "bench.timing.step_profile",
    "bench.denoisers.evaluate": "bench.studies.denoiser_training.evaluate",
    "bench.denoisers.train": "bench.studies.denoiser_training.train",
    "bench.peers": "bench.studies.external",
    "bench.quoted": "bench.studies.quoted",
    "bench.resilience": "tests.resilience",
    "bench.resilience.overhead": "tests.resilience.overhead",
}
"""Modules that were run with ``python -m`` under another name."""

# While ``python -m NAME`` looks for NAME, it imports this package and sys.argv[0] is "-m"; see the docs of sys.argv.
if sys.argv[:1] == ["-m"]:
    _name = sys.orig_argv[-len(sys.argv)].removeprefix("-m")
    if _name in MOVED:
        print(f"error: {_name} is now {MOVED[_name]}: run python -m {MOVED[_name]}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
