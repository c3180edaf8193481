"""A companion theory: its experiments, its mutants, and the tables and figures of its section."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic

from .experiment import Experiment, S
from .mutation import Mutant

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True)  # slots and generics do not go together
class Group(Generic[S]):
    """What ``python -m theory_checks verify --claims NAME`` runs and writes.

    Attributes:
        name: of the group, as given on the command line.
        title: of its section in the report.
        experiments: in the order of the specification.
        mutants: wrong code that they must notice.
        small, paper: the setting for a laptop, and that of the paper, for a GPU.
        tables: at a setting, by the stem of their files.
        figures: likewise. Both use what the experiments computed.
    """

    name: str
    title: str
    experiments: tuple[Experiment[S], ...]
    mutants: tuple[Mutant, ...]
    small: S
    paper: S
    tables: Callable[[S], dict[str, pd.DataFrame]]
    figures: Callable[[S], dict[str, Figure]]

    def at(self, paper: bool, device: str | None = None) -> S:
        """The setting of the paper or the small one, on its own device or another."""
        setting = self.paper if paper else self.small
        return setting if device is None else replace(setting, device=device)
