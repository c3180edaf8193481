"""``eqgrad`` where the checkout is installed as editable: another name of ``solvers``, with the same classes.

The wheel has the files of ``solvers/`` in its place.
"""

import importlib
import pkgutil
import sys

import solvers

for _module in pkgutil.walk_packages(solvers.__path__, "solvers."):
    _name = _module.name.removeprefix("solvers")
    sys.modules[f"{__name__}{_name}"] = importlib.import_module(_module.name)
# What is imported is what stands here once this file was run.
sys.modules[__name__] = solvers
