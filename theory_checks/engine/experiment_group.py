"""A related theory: its experiments, its mutants, and the tables and figures of its report."""

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
class ExperimentGroup(Generic[S]):
    """The experiments that ``python -m theory_checks verify --claims NAME`` runs, and their report.

    Attributes:
        name: name of the group on the command line.
        title: heading of its report.
        experiments: in the order of their numbers.
        mutants: wrong code that the experiments must notice.
        small: settings for a laptop; ``paper`` those of the paper, for a GPU.
        load_report: imports and returns the functions that make the tables and the figures at given settings, keyed by
            the stem of their files. A command that draws nothing does not wait for matplotlib.
    """

    name: str
    title: str
    experiments: tuple[Experiment[S], ...]
    mutants: tuple[Mutant, ...]
    small: S
    paper: S
    load_report: Callable[[], tuple[Callable[[S], dict[str, pd.DataFrame]], Callable[[S], dict[str, Figure]]]]

    def tables(self, settings: S) -> dict[str, pd.DataFrame]:
        """The tables, from the cached results of the experiments."""
        return self.load_report()[0](settings)

    def figures(self, settings: S) -> dict[str, Figure]:
        """The figures, from the cached results of the experiments."""
        return self.load_report()[1](settings)

    def settings(self, paper: bool, device: str | None = None) -> S:
        """The settings of the paper or the small ones; ``device`` replaces the device they name."""
        settings = self.paper if paper else self.small
        return settings if device is None else replace(settings, device=device)
