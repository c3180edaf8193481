"""``eqgrad`` where the checkout is installed as editable: another name of ``solvers``, with the same classes.

The wheel has the files of ``solvers/`` in its place.
"""

import importlib
import pkgutil
import sys

import solvers

for _module in pkgutil.iter_modules(solvers.__path__):
    sys.modules[f"{__name__}.{_module.name}"] = importlib.import_module(f"solvers.{_module.name}")
# What is imported is what stands here once this file was run.
sys.modules[__name__] = solvers
