"""Measure all rows on all tasks and seeds, and write the curves and the table."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from ...tasks import Task
from ...tasks.images import Images, Layout
from ...utils.atomic_files import make_folder, write_atomically
from ...utils.json_values import finite
from ...utils.provenance import device_name, provenance
from ..learning.exact import ExactLoss
from ..learning.study import one_thread
from .measure import Curve, measure
from .report import minibatch_markdown
from .row import ROWS, Row

TASKS = ("deblurring(huber)", "inpainting(huber)")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    Attributes:
        tasks, rows: each row on each task.
        images, layout: there is one test crop, which is not used.
        batch: crops of a step.
        epochs: passes over the crops.
        seeds: number of seeds, from 0.
    """

    tasks: Sequence[Task]
    images: Images
    layout: Layout
    batch: int = 4
    epochs: int = 6
    seeds: int = 3
    rows: Sequence[Row] = ROWS

    @property
    def setting(self) -> str:
        """A line on images, seeds and the machine."""
        side, machine = self.layout.crop, device_name(torch.device("cpu"))
        return (
            f"{self.layout.train} crops of {side}×{side} from {self.images.source}, batches of {self.batch}, "
            f"{self.epochs} epochs, seeds 0 to {self.seeds - 1}, float64, one thread of {machine}."
        )


def minibatch_study(plan: Plan, out: Path, progress: Callable[[str], None] = lambda line: None) -> list[Path]:
    """Measure, and write ``curves.json`` and ``minibatches.md`` into ``out``; returns them.

    Raises:
        UserError: there is no exact loss on a task.
        Unwritable: the disk is full, or may only be read.
    """
    make_folder(out)
    found: dict[str, list[tuple[Row, list[Curve]]]] = {}
    with one_thread():
        for task in plan.tasks:
            exact = [ExactLoss(task, plan.images, plan.layout, seed) for seed in range(plan.seeds)]
            curves: list[tuple[Row, list[Curve]]] = []
            for row in plan.rows:
                arguments = plan.images, plan.layout, plan.batch, plan.epochs
                curves.append(
                    (row, [measure(row, task, *arguments, seed, loss) for seed, loss in enumerate(exact)])
                )
                progress(f"{task.label}: {row.label}: {curves[-1][1][0].products[-1]:.0f} products")
            found[task.label] = curves
    table, values = out / "minibatches.md", out / "curves.json"
    write_atomically(table, minibatch_markdown(found, plan.setting))
    rows = [
        {"task": task, "row": row.label, "seed": seed, **finite(asdict(curve))}
        for task, curves in found.items()
        for row, each in curves
        for seed, curve in enumerate(each)
    ]
    content = {"setting": plan.setting, "rows": rows, "provenance": provenance(torch.device("cpu"))}
    write_atomically(values, json.dumps(content, ensure_ascii=False, allow_nan=False))
    return [table, values]
