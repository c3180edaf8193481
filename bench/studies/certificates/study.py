"""The study of certificates: which trials it makes, and the files that it writes."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from ...analysis.jacobian_verdict import MARGIN
from ...config.call_syntax import method_label
from ...config.lookup import parse_operator
from ...config.matrix import parse_solver, parse_task
from ...operators.splitting import FORWARD_BACKWARD
from ...tasks.images import Images, find_images
from ...utils.atomic_files import write_atomically
from ...utils.errors import UserError, unknown
from ...utils.json_values import finite
from ...utils.provenance import provenance
from .cheapest_depth import TOLERANCES, GradientAtDepth, depth_rows
from .overhead import Overhead, overhead
from .trials import (
    FURTHER,
    NETWORKS,
    CertificateTrial,
    known_contraction,
    matrix_solvers,
    matrix_tasks,
    trials,
)

Row = CertificateTrial | GradientAtDepth | Overhead
Progress = Callable[[str], None]
PARTS = ("rigorous", "estimates", "depths")
TIMING = "overhead"


@dataclass(frozen=True, slots=True)
class CertificateStudy:
    """Settings of the study.

    Attributes:
        tasks: labels; ``None`` for those of the profiles and ``FURTHER``. Only contractive ones are tried.
        operators: that contractive tasks are tried on in the part ``rigorous``, if they admit the prior.
        networks: tasks without known constants, for estimates.
        solvers: labels; ``None`` for those of the profiles.
        rigorous: number of seeds, and of batches of two crops for each.
        estimates: number of seeds, and of crops for each.
        rtols, crop, grid: of the part ``depths``.
        timed, timed_tasks, timed_crop, rounds: of the part ``overhead``.
    """

    tasks: tuple[str, ...] | None = None
    operators: tuple[str, ...] = (FORWARD_BACKWARD, "peaceman_rachford")
    networks: tuple[str, ...] = NETWORKS
    solvers: tuple[str, ...] | None = None
    rigorous: tuple[int, int] = (2, 1)
    estimates: tuple[int, int] = (3, 2)
    rtols: tuple[float, ...] = (1e-1, 1e-2, 1e-3)
    crop: int = 48
    grid: tuple[float, ...] = TOLERANCES
    timed: tuple[str, ...] = ("restarted_jfb(10, 10)", "neumann(160, 40)", "deq(1e-06)", "jfb(40)")
    timed_tasks: tuple[str, ...] = ("deblurring(huber)", "inpainting(huber)")
    timed_crop: int = 256
    rounds: int = 21


def certificate_study(
    out: Path,
    parts: Sequence[str] = PARTS,
    source: str | None = None,
    plan: CertificateStudy = CertificateStudy(),
    progress: Progress = print,
) -> list[Path]:
    """Measure ``parts`` (of ``PARTS``, or ``TIMING``), and write ``rows.json``, a table and a figure into ``out``.

    Rows of other parts stay. ``source`` is that of ``find_images``; ``progress`` gets one line for each task.

    Raises:
        UserError: a part is unknown, images are unreadable or too small, or ``rows.json`` is not of this study.
    """
    for part in parts:
        if part not in (*PARTS, TIMING):
            raise unknown("part", part, [*PARTS, TIMING])
    torch.set_num_threads(1)
    images = {colour: find_images(source, colour=colour) for colour in (False, True)}
    stored = _stored(out)
    out.mkdir(parents=True, exist_ok=True)
    for part in parts:
        begin = time.perf_counter()
        rows = [asdict(row) for row in _measured(part, images, plan, progress)]
        option = "--timing" if part == TIMING else f"--part {part}"
        stored["made"][part] = {
            "command": f"python -m bench certificates --out DIR {option}",
            "seconds": time.perf_counter() - begin,
            "images": images[False].source,
            "provenance": provenance(torch.device("cpu")),
        }
        stored["rows"] = [row for row in stored["rows"] if row["part"] != part] + rows
        write_atomically(out / "rows.json", _dumped(stored))
    return write_study(out)


def write_study(out: Path) -> list[Path]:
    """Write the table and the figure of a folder again from its rows; the same rows give the same bytes."""
    # Imported here: matplotlib and seaborn take a second, for which no other command should wait.
    import matplotlib as mpl
    import pandas as pd

    from ...report.figure_style import RC, save_figure
    from .figure import bound_against_error
    from .tables import certificates_markdown, rows_frame

    stored = _stored(out)
    page = out / "tables" / "certificates.md"
    facts = [
        f"`{made['command']}`: {made['seconds']:.0f} seconds on one core, images of {made['images']}, "
        f"torch {made['provenance']['versions']['torch']}"
        for made in stored["made"].values()
    ]
    page.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(page, certificates_markdown(stored["rows"], facts))
    trials = pd.concat([rows_frame(stored["rows"], part) for part in ("rigorous", "estimates")])
    if not len(trials):
        return [page]
    (out / "figures").mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(RC):  # pyright: ignore[reportArgumentType]
        return [page, *save_figure(bound_against_error(trials), "certificates", out / "figures")]


def _stored(out: Path) -> dict:
    file = out / "rows.json"
    if not file.is_file():
        return {"made": {}, "rows": []}
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
        return {"made": dict(table["made"]), "rows": list(table["rows"])}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} holds no rows of this study: remove it, or give another --out") from error


def _dumped(stored: dict) -> str:
    """JSON with one row on each line; ``null`` for numbers that are not finite."""
    rows = ",\n".join(json.dumps(finite(row), ensure_ascii=False) for row in stored["rows"])
    return f'{{"made": {json.dumps(finite(stored["made"]), ensure_ascii=False)},\n"rows": [\n{rows}\n]}}\n'


def _measured(
    part: str, images: dict[bool, Images], plan: CertificateStudy, progress: Progress
) -> Iterator[Row]:
    if part == TIMING:
        for task in plan.timed_tasks:
            for solver in plan.timed:
                progress(f"{part}: {task} · {solver}")
                yield from overhead(task, solver, images[False], plan.timed_crop, plan.rounds)
        return
    solvers = matrix_solvers() if plan.solvers is None else [parse_solver(text) for text in plan.solvers]
    tasks = [*matrix_tasks(), *FURTHER] if plan.tasks is None else list(plan.tasks)
    operators = plan.operators if part == "rigorous" else (FORWARD_BACKWARD,)
    texts = [*tasks, *(t for t in plan.networks if part == "estimates" and t not in tasks)]
    for text, splitting in itertools.product(texts, map(parse_operator, operators)):
        task = replace(parse_task(text), splitting=splitting)
        if splitting.refusal(task.prior):
            continue
        chosen = images[task.channels == 3]
        # A contraction just below 1 is proved, but a measured norm cannot tell it from 1.
        margin = 0 if part == "rigorous" else MARGIN
        network = part == "estimates" and text in plan.networks
        if not network and not known_contraction(task, chosen) < 1 - margin:
            continue
        progress(f"{part}: {method_label(text, splitting.label)}")
        if part == "depths":
            yield from depth_rows(text, chosen, plan.rtols, plan.crop, plan.grid)
            continue
        seeds, count = plan.rigorous if part == "rigorous" else plan.estimates
        size = 2 if part == "rigorous" else 1
        yield from trials(part, task, chosen, solvers, range(seeds), count, size, text not in FURTHER)
