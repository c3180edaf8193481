"""What a matrix will take, in tables: its cells, its workers, and how far off such predictions were."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from pydantic import ValidationError

from ..config.matrix import Cell, cells, parse_solver, parse_task
from ..config.profile_schema import EquilibriumTable, Profile, TimingTable
from ..records.record import Record
from ..records.store import Store
from ..utils.errors import UserError
from .cost_model import (
    CostModel,
    PastRun,
    Prediction,
    Requirement,
    Validation,
    fit_cost_model,
    past_run,
    validate,
    wall,
)

MIB = 2**20
NEVER = 2
"""A level of precedent from which on it is of another prior or dtype."""
MODEL = (
    "seconds = start + price × evaluations × channels × pixels: one evaluation is an application of T or a product "
    "with its Jacobian on one image, in training, for the gradient and its reference, and on the test images; "
    "bytes = base + price × channels × pixels × (applications on the tape + offset) × batch. Prices are medians over "
    "the records of the same kind of operator, or of the nearest where there is none."
)


@dataclass(frozen=True, slots=True)
class PastRuns:
    """Records that can be learned from.

    Attributes:
        pairs: each with what it was of.
        folders: where each is from.
        device: ``cpu`` or ``cuda``.
        machines: their names.
    """

    pairs: list[tuple[Record, PastRun]]
    folders: list[Path]
    device: str
    machines: list[str]

    def model(self, chosen: Iterable[int]) -> CostModel:
        """The model of some of them."""
        some = [self.pairs[i] for i in chosen]
        return fit_cost_model([known for _, known in some], [record for record, _ in some])


def needs_of(profile: Profile) -> list[Requirement]:
    """The cells of a profile in the order they are run, the timings last."""
    parts = list(zip(profile.parts(), cells(profile), strict=True))
    quality = [Requirement("quality", cell, part) for part, matrix in parts for cell in matrix]
    cost = [Requirement("cost", c, part) for part, matrix in parts for c in matrix if c.seed == part.seeds[0]]
    return quality + cost


def need_of(record: Record) -> Requirement | None:
    """What a record is of; ``None`` where its task or solver is not there any more."""
    given = record.settings
    try:
        call = record.task[: record.task.rfind(")") + 1] or record.task.split(",")[0]
        task = replace(parse_task(call), label=record.task)
        part = Profile.model_validate(
            {
                "name": "stored",
                "summary": "",
                "tasks": [call],
                "solvers": [record.solver],
                "seeds": [record.seed],
                "equilibrium": EquilibriumTable(tol=1e-4, budget=100).model_dump(),
                "timing": TimingTable(rounds=3, seconds=1.0).model_dump(),
            }
            | {name: given[name] for name in Profile.model_fields if name in given}
        )
        return Requirement(record.kind, Cell(task, parse_solver(record.solver), record.seed), part)
    except (UserError, ValidationError, KeyError):
        return None


def precedents(folders: Sequence[Path]) -> PastRuns:
    """The finished records of some runs.

    Raises:
        UserError: a folder holds no run, or there are records of CPUs and of GPUs.
    """
    pairs: list[tuple[Record, PastRun]] = []
    where: list[Path] = []
    for folder in folders:
        store = Store(folder)
        if store.manifest() is None:
            raise UserError(f"--from {folder} holds no run: give the --out of one")
        for record in store.records():
            need = need_of(record) if record.status == "ok" else None
            if need is not None:
                pairs.append((record, past_run(record, need)))
                where.append(folder)
    devices = sorted({record.settings.get("device", "cpu") for record, _ in pairs})
    if len(devices) > 1:
        raise UserError(f"the records are of {' and '.join(devices)}: give --from folders of one")
    machines = sorted({str(record.provenance.get("device", "unknown")) for record, _ in pairs})
    return PastRuns(pairs, where, devices[0] if devices else "cpu", machines)


def halves(known: PastRuns) -> list[tuple[int, Prediction]]:
    """Each record with what the other half of the records predicts of it; the seeds of a cell stay together."""
    places = {(r.kind != "", r.task, r.crop, r.batch, r.solver): None for r, _ in known.pairs}
    half = {place: i % 2 for i, place in enumerate(places)}
    side = [half[(True, r.task, r.crop, r.batch, r.solver)] for r, _ in known.pairs]
    found: list[tuple[int, Prediction]] = []
    for one in (0, 1):
        model = known.model(i for i, s in enumerate(side) if s != one)
        found += [(i, model.guess(known.pairs[i][1].need)) for i, s in enumerate(side) if s == one]
    return found


def by_folder(known: PastRuns) -> list[tuple[int, Prediction]]:
    """The same, each folder by the other ones; nothing where there is only one."""
    found: list[tuple[int, Prediction]] = []
    for folder in dict.fromkeys(known.folders) if len(set(known.folders)) > 1 else ():
        inside = [i for i, where in enumerate(known.folders) if where == folder]
        model = known.model(i for i, where in enumerate(known.folders) if where != folder)
        found += [(i, model.guess(known.pairs[i][1].need)) for i in inside]
    return found


def _seconds(guess: Prediction) -> float:
    """What a record's own seconds are of: the cell, or a step of a timing."""
    return guess.step if guess.need.kind == "cost" else guess.seconds


def checks(known: PastRuns) -> pd.DataFrame:
    """A row for each way of holding predictions against what was measured.

    Columns: ``what``; ``cells``; ``predicted`` and ``measured`` in total; ``half within`` and ``nine in ten within``,
    factors.
    """
    rows: list[dict[str, object]] = []
    for way, pairs in (("the other half", halves(known)), ("the other folders", by_folder(known))):
        held: dict[str, list[tuple[float, float]]] = {}
        for i, guess in pairs:
            record, one = known.pairs[i]
            if one.seconds and not math.isnan(_seconds(guess)):
                what = "cells" if record.kind == "quality" else "steps of timings"
                never = ", of a kind never run there" if guess.level >= NEVER else ""
                name = f"{what} of {known.folders[i].name} by {way}{never}"
                held.setdefault(name, []).append((_seconds(guess), one.seconds))
        rows += [
            {"what": name, **_row(found)} for name, some in sorted(held.items()) if (found := validate(some))
        ]
    return pd.DataFrame(rows)


def _row(found: Validation) -> dict[str, object]:
    return {
        "cells": found.cells,
        "predicted": span(found.predicted),
        "measured": span(found.measured),
        "half within": f"× {found.factor:.2f}",
        "nine in ten within": f"× {found.worst:.2f}",
    }


def matrix_table(guesses: Sequence[Prediction], known: PastRuns) -> pd.DataFrame:
    """A row for each task, size and kind of cell.

    Columns: ``cells``; ``predicted``, in total; ``largest``, the memory of a process; ``from``, the precedent; and of
    those that were run ``measured`` beside ``these predicted``, by the other half of the records.
    """
    run = {_place(s.need): i for i, (_, s) in enumerate(known.pairs)}
    blind = {i: _seconds(guess) for i, guess in halves(known)} if run else {}
    groups: dict[tuple[str, int, int, str], list[Prediction]] = {}
    for guess in guesses:
        part = guess.need.profile
        size = part.images.crop, min(part.training.batch, part.images.train)
        groups.setdefault((guess.need.cell.task.label, *size, guess.need.kind), []).append(guess)
    rows: list[dict[str, object]] = []
    for (task, crop, batch, kind), several in groups.items():
        held = [
            (blind[i], measured)
            for g in several
            if (i := run.get(_place(g.need))) is not None and (measured := known.pairs[i][1].seconds)
        ]
        rows.append(
            {
                "cells": f"{len(several)} {kind}",
                "task": f"{task} · {crop}² × {batch}",
                "predicted": span(sum(g.seconds for g in several)),
                "largest": size_of(max(g.peak for g in several)),
                "from": ", ".join(dict.fromkeys(g.precedent for g in several)),
                "run": f"{len(held)} {'steps' if kind == 'cost' else 'cells'}" if held else "",
                "these predicted": span(sum(p for p, _ in held)) if held else "",
                "measured": span(sum(m for _, m in held)) if held else "",
            }
        )
    return pd.DataFrame(rows)


def _place(need: Requirement) -> tuple[object, ...]:
    part = need.profile
    cell = need.cell
    return (
        *(need.kind, cell.task.label, cell.solver.label, cell.seed, part.dtype, part.execution),
        *(part.images.model_dump_json(), part.training.model_dump_json()),
    )


def workers_table(guesses: Sequence[Prediction], workers: Sequence[int], device: str) -> pd.DataFrame:
    """A row for each number of workers.

    Columns: ``workers``; ``wall``, the time of the run; ``hours``, of all workers until its end, which is what a
    cluster charges; ``busy``, the share in which they compute.
    """
    quality = [g.seconds for g in guesses if g.need.kind == "quality" and not math.isnan(g.seconds)]
    cost = [g.seconds for g in guesses if g.need.kind == "cost" and not math.isnan(g.seconds)]
    unit = "GPU hours" if device == "cuda" else "worker hours"
    rows: list[dict[str, object]] = []
    for count in workers:
        seconds = wall(quality, cost, count)
        busy = sum(quality) + sum(cost)
        rows.append(
            {
                "workers": count,
                "wall": span(seconds),
                unit: f"{count * seconds / 3600:.3g}",
                "busy": f"{busy / (count * seconds):.0%}" if seconds else "",
            }
        )
    return pd.DataFrame(rows)


def remarks(guesses: Sequence[Prediction], known: PastRuns, model: CostModel) -> list[str]:
    """In lines: the model, and the cells that it says little of."""
    lines = [
        MODEL,
        f"start {model.start:.2g} s, base {size_of(model.base)}, offset {model.offset:g}; "
        f"{len(known.pairs)} records of {', '.join(known.machines) or 'no machine'} ({known.device})",
    ]
    for least, words in (
        (-1, "without any precedent, so not counted"),
        (NEVER, "of a kind of operator never run"),
    ):
        some = {
            g.need.cell.task.label
            for g in guesses
            if (math.isnan(g.seconds) if least < 0 else g.level >= least and not math.isnan(g.seconds))
        }
        if some:
            lines.append(f"{words}: {', '.join(sorted(some))}")
    borrowed = {g.need.cell.task.label for g in guesses if g.precedent.startswith(("timings of", "cells of"))}
    if borrowed:
        lines.append(
            f"no {'cell' if any(g.need.kind == 'quality' for g in guesses) else 'timing'} of the kind has seconds, "
            f"so the price is that of another kind of cell: {', '.join(sorted(borrowed))}"
        )
    return lines


def span(seconds: float) -> str:
    """``3.2 ms``, ``12 s``, ``3.4 min``, ``2.1 h``."""
    if math.isnan(seconds):
        return "unknown"
    for least, unit, word in ((3600, 3600, "h"), (100, 60, "min"), (1, 1, "s")):
        if seconds >= least:
            return f"{seconds / unit:.3g} {word}"
    return f"{1e3 * seconds:.3g} ms"


def size_of(count: float) -> str:
    """``340 MiB``."""
    return "unknown" if math.isnan(count) else f"{count / MIB:.3g} MiB"
