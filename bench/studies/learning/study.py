"""Measure all rows on all tasks and seeds; what is measured is kept, and not measured again."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from ...operators import PlugAndPlayPrior
from ...tasks import Task
from ...tasks.images import Images, Layout
from ...utils.atomic_files import make_folder
from ...utils.errors import UserError
from ...utils.provenance import QUALITY, device_name
from ..measured_files import measured_key, store_values, stored_values
from .exact import ExactLoss
from .measure import Learned, measure
from .report import write_report
from .row import Row
from .table import Measured

TASKS = ("deblurring(huber)", "inpainting(huber)", "denoising(huber)", "deblurring(huber(0.01, 0.005))")
"""Default tasks."""
SOURCES = (
    *QUALITY,
    "bench/studies/objective.py",
    *(f"bench/studies/learning/{name}.py" for name in ("exact", "measure", "starts")),
)
"""Sources that decide what a row measures."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    Attributes:
        tasks, rows: each row on each task.
        reference: a row that finds the best loss, and is in no table.
        images, layout: the training crops are one batch; there is one test crop, which is not used.
        seeds: number of seeds, from 0.
    """

    tasks: Sequence[Task]
    rows: Sequence[Row]
    reference: Row
    images: Images
    layout: Layout
    seeds: int = 1

    @property
    def setting(self) -> str:
        """A line on images, seeds and the machine."""
        layout, seeds = self.layout, "1 seed" if self.seeds == 1 else f"{self.seeds} seeds"
        crops = f"{layout.train} crop" + "s" * (layout.train > 1)
        machine = device_name(torch.device("cpu"))
        return f"{crops} of {layout.crop}×{layout.crop} from {self.images.source}, {seeds}, one thread of {machine}."

    def check(self) -> None:
        """Raise ``UserError`` if an operator does not admit a task or its crops, or a task has no equilibrium."""
        for task in self.tasks:
            if task.prior.layers:
                raise UserError(
                    f"{task.label} has parameters of its own for each layer, so it has no equilibrium: choose another"
                )
            if isinstance(task.prior, PlugAndPlayPrior):
                raise UserError(
                    f"the rows need a convex penalty, and {task.prior.label} is none: choose another task"
                )
            for row in (self.reference, *self.rows):
                if reason := row.splitting.refusal(task.prior):
                    raise UserError(reason)
            ExactLoss(task, self.images, self.layout, 0)


def learning_study(plan: Plan, out: Path, progress: Callable[[str], None] = lambda line: None) -> list[Path]:
    """Measure what ``out`` does not hold yet. Returns the files of the tables and the figure.

    These are written at the end; rows that are measured are kept if it is stopped before.

    Everything is computed in float64 on one thread of the CPU. ``progress`` gets a line for each row.

    Raises:
        UserError: see ``Plan.check``; or there is no exact loss.
        Unwritable: the disk is full, or may only be read.
    """
    plan.check()
    folder = out / "measured"
    make_folder(folder)
    found: list[Measured] = []
    with one_thread():
        for seed in range(plan.seeds):
            for task in plan.tasks:
                exact: ExactLoss | None = None
                for row in (plan.reference, *plan.rows):
                    file = folder / f"{_key(plan, row, task, seed)}.json"
                    learned = stored_values(file, "learned", Learned)
                    if learned is None:
                        exact = exact or ExactLoss(task, plan.images, plan.layout, seed)
                        learned = measure(row, task, plan.images, plan.layout, seed, exact)
                        _store(file, Measured(row, task.label, seed, learned))
                        progress(
                            f"{task.label}, seed {seed} · {row.label}: {len(learned.losses) - 1} steps, "
                            f"{learned.products[-1]:.0f} products, {learned.seconds[-1]:.1f} s ({learned.ended})"
                        )
                    found.append(Measured(row, task.label, seed, learned))
        return write_report(found, plan.reference, plan.setting, out)


@contextmanager
def one_thread() -> Generator[None]:
    """Compute on one thread, so that seconds of the process are seconds of the clock on an idle machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _key(plan: Plan, row: Row, task: Task, seed: int) -> str:
    decides = (row.identity, repr(task), task.label, asdict(plan.layout), plan.images.digest, seed)
    return measured_key(decides, SOURCES)


def _store(file: Path, measured: Measured) -> None:
    row = measured.row
    what: dict[str, object] = {
        "row": row.label,
        "source": row.source,
        "identity": row.identity,
        "task": measured.task,
        "seed": measured.seed,
    }
    store_values(file, what, "learned", measured.learned.columns())
