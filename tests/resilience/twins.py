"""Two runs on one folder at once, whole or with one of them killed half way."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tests.resilience.runs import CELLS, ask, begin, complete, table

SPARED = 6
"""Cells that are left at least when a run is killed."""


@dataclass(frozen=True, slots=True)
class Pair:
    """How two runs on one folder ended.

    Attributes:
        killed: the second one was, with everything it had started.
        codes: their exit codes.
        cells: in the table.
        complete: every cell once, and finished.
        begun: how often a cell was begun, by either.
        shared: how many cells were begun by the one that began fewer.
    """

    killed: bool
    codes: tuple[int | None, int | None]
    cells: int
    complete: bool
    begun: int
    shared: int

    def clean(self) -> bool:
        """Whether nothing was missing, and nothing measured twice; what a killed run was at is begun again."""
        once = self.begun == CELLS if not self.killed else CELLS <= self.begun <= CELLS + 3
        return self.complete and once and self.codes == (0, -9 if self.killed else 0)

    def row(self) -> dict[str, object]:
        """As JSON has it."""
        return asdict(self)


def twins(times: int, folder: Path, seed: int = 0) -> list[Pair]:
    """So many pairs of runs; in every second one, the second run is killed at a random moment."""
    rng = random.Random(seed)
    begin(ask(folder / "first")).end()  # whatever is only slow once
    return [_pair(folder / f"pair-{i}", rng, killed=i % 2 == 1) for i in range(times)]


def _pair(folder: Path, rng: random.Random, killed: bool) -> Pair:
    one, other = ask(folder, jobs=1), ask(folder, jobs=1)
    # They share a lock of the machine, as two runs of one user do, and write their notes apart.
    runs = [begin(one), begin(replace(other, notes=_made(folder / "second")))]
    if killed:
        at = rng.randrange(1, CELLS // 4)
        # On a busy machine the second may get so few cells that it would live to the end.
        while (
            len(runs[1].asked.noted("begun")) < at
            and sum(len(run.asked.noted("begun")) for run in runs) < CELLS - SPARED
            and runs[1].wait(0.002) is None
        ):
            pass
        runs[1].signal(9, whole=True)
    codes = runs[0].end(), runs[1].end()
    begun = [run.asked.noted("begun") for run in runs]
    rows = table(one.out)
    return Pair(
        killed, codes, len(rows), complete(rows), sum(map(len, begun)), min(len(set(part)) for part in begun)
    )


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
