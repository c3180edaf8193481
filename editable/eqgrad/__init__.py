"""``eqgrad`` where the checkout is installed as editable: other names of its packages, with the same classes.

``eqgrad`` is ``solvers``, and ``eqgrad.bench`` and ``eqgrad.theory_checks`` are the packages of these names, as in the
wheel. A module is imported when it is asked for.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

import solvers

PREFIX = f"{__name__}."


class _OtherName(MetaPathFinder, Loader):
    """Finds ``eqgrad.NAME``, and puts the module of the checkout in its place."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(PREFIX):
            return None
        rest = fullname.removeprefix(PREFIX)
        name = rest if rest.partition(".")[0] in ("bench", "theory_checks") else f"solvers.{rest}"
        return ModuleSpec(fullname, self, loader_state=name)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        name = module.__spec__.loader_state
        try:
            # What is imported is what stands here once this was run.
            sys.modules[module.__name__] = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
            raise ModuleNotFoundError(f"No module named {module.__name__!r}", name=module.__name__) from None


# First, since the path of a package would find its modules a second time.
sys.meta_path.insert(0, _OtherName())
sys.modules[__name__] = solvers
