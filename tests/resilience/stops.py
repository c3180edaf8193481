"""A run that is asked to stop, by Ctrl-C or SIGTERM: one line, its exit code, nothing left behind."""

from __future__ import annotations

import random
import signal
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.resilience.runs import ask, begin_command, complete, table

CODES = {"SIGINT": 130, "SIGTERM": 143}
LINE = "Stopped. Finished cells are stored; run the same command again to resume."


@dataclass(frozen=True, slots=True)
class Stop:
    """How one run stopped.

    Attributes:
        sent: the signal; Ctrl-C goes to the whole session, SIGTERM to the first process.
        after: seconds from the first cell that was told of.
        code: its exit code.
        lines: of standard error that tell of no cell.
        gone: seconds until nothing of it was left; ``None`` for more than ten.
        goes_on: the same line then brings it to its end, with every cell.
    """

    sent: str
    after: float
    code: int | None
    lines: list[str]
    gone: float | None
    goes_on: bool

    def clean(self) -> bool:
        """Whether it is as promised."""
        return (
            self.code == CODES[self.sent] and self.lines == [LINE] and self.gone is not None and self.goes_on
        )

    def row(self) -> dict[str, object]:
        """As JSON has it."""
        return asdict(self)


def stops(times: int, folder: Path, seed: int = 0, resume: bool = True, in_a_row: int = 1) -> list[Stop]:
    """Stop ``python -m bench run`` so many times by each signal, at random moments after its first cell.

    Its processes measure ``in_a_row`` cells each.
    """
    rng, found = random.Random(seed), list[Stop]()
    # A shell has what it starts in the background ignore Ctrl-C, and the runs would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for i in range(times):
        for sent in CODES:
            found.append(_stop(folder / f"{sent}-{i}", sent, rng.uniform(0.0, 1.0), resume, in_a_row))
    return found


def _stop(folder: Path, sent: str, after: float, resume: bool, in_a_row: int) -> Stop:
    asked = ask(folder, in_a_row=in_a_row)
    run = begin_command(asked)
    while not asked.noted("stderr") and run.wait(0.02) is None:
        pass
    code = run.wait(after)
    if code is None:
        run.signal(getattr(signal, sent), whole=sent == "SIGINT")
        code = run.wait(30.0)
    gone = run.gone()
    lines = [line for line in asked.noted("stderr") if "·" not in line]
    goes_on = not resume or (begin_command(asked).end() == 0 and complete(table(asked.out)))
    return Stop(sent, after, code, lines, gone, goes_on)
