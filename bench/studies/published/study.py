"""Measure all rows on all weight files and seeds; what is measured is kept, and not measured again."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from ...tasks import build_problem
from ...tasks.images import Images, Layout
from ...utils.atomic_files import make_folder, write_atomically
from ...utils.json_values import finite
from ...utils.provenance import QUALITY, device_name, fingerprint, provenance, versions
from ...utils.random_streams import stream_seed
from ..learning.study import one_thread
from .measure import Measured, measure
from .psnr import Scores, scores
from .reference import reference_of
from .report import write_report
from .rows import ROWS, Row
from .table import GradientLine, PsnrLine
from .weights import Published

SOURCES = (
    *QUALITY,
    *(f"bench/studies/published/{name}.py" for name in ("measure", "psnr", "reference")),
)
"""Sources that decide what a row measures."""
NAMES = {Measured: "gradient", Scores: "psnr"}
"""Names of what was measured in its file."""
Found = TypeVar("Found", Measured, Scores)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    Attributes:
        weights: on each of them every row.
        images, layout: the training crops are one batch; there is one test crop, which is not used.
        seeds: number of seeds, from 0.
        rows: ways to a gradient.
        photographs: images for PSNR; ``None`` for no PSNR.
        side: of their crops in pixels.
    """

    weights: Sequence[Published]
    images: Images
    layout: Layout
    seeds: int = 1
    rows: Sequence[Row] = ROWS
    photographs: Images | None = None
    side: int = 128

    @property
    def setting(self) -> str:
        """A line on images, seeds and the machine."""
        layout, seeds = self.layout, "1 seed" if self.seeds == 1 else f"{self.seeds} seeds"
        crops = f"{layout.train} crop" + "s" * (layout.train > 1)
        source = Path(self.images.source).name
        machine = device_name(torch.device("cpu"))
        return f"{crops} of {layout.crop}×{layout.crop} from {source}, {seeds}, float64, one thread of {machine}."


def published_study(plan: Plan, out: Path, progress: Callable[[str], None] = lambda line: None) -> list[Path]:
    """Measure what ``out`` does not hold yet. Returns the files of the tables and the figure.

    These are written at the end; what is measured is kept if it is stopped before. Everything is computed in float64 on
    one thread of the CPU. ``progress`` gets a line for each row.

    Raises:
        UserError: there is no reference gradient, or an image is smaller than a crop.
        Unwritable: the disk is full, or may only be read.
    """
    for each in plan.weights:
        build_problem(
            each.task, plan.images, plan.layout, 0
        )  # refuses what does not fit before anything is written
    for folder in ("measured", "references"):
        make_folder(out / folder)
    with one_thread():
        lines = [
            line
            for each in plan.weights
            for seed in range(plan.seeds)
            for line in _gradients(plan, each, seed, out, progress)
        ]
        psnr = [_psnr(plan, each, out, progress) for each in plan.weights] if plan.photographs else []
    return write_report(lines, psnr, plan.setting, out)


def _gradients(
    plan: Plan, weights: Published, seed: int, out: Path, progress: Callable[[str], None]
) -> list[GradientLine]:
    """All rows on a weight file with a seed."""
    problem, reference, lines = None, None, list[GradientLine]()
    place = [weights.digest, repr(weights.task), asdict(plan.layout), plan.images.digest, seed]
    for row in plan.rows:
        file = out / "measured" / f"{_key([row.identity, *place])}.json"
        measured = _stored(file, Measured)
        if measured is None:
            if problem is None or reference is None:
                torch.manual_seed(stream_seed(seed, "everything else"))
                problem = build_problem(weights.task, plan.images, plan.layout, seed, dtype=torch.float64)
                reference = reference_of(problem, out / "references" / f"{_key(place)}.safetensors")
            measured = measure(row, problem, reference)
            _store(file, measured, {"row": row.solver.label, "seed": seed}, weights)
            progress(
                f"{weights.name}, seed {seed} · {row.solver.label}: {measured.applications + measured.vjps:.0f} "
                f"products, error {measured.error:.1e}, {measured.seconds:.1f} s"
            )
        lines.append(GradientLine(weights.name, weights.family, seed, row, measured))
    return lines


def _psnr(plan: Plan, weights: Published, out: Path, progress: Callable[[str], None]) -> PsnrLine:
    assert plan.photographs is not None
    found = plan.photographs
    files = tuple(sorted((*found.train, *found.test)))
    file = (
        out / "measured" / f"{_key(['psnr', weights.digest, weights.family, found.digest, plan.side])}.json"
    )
    values = _stored(file, Scores)
    if values is None:
        values = scores(weights.task, files, plan.side, 0)
        _store(file, values, {"images": len(files), "side": plan.side}, weights)
        progress(f"{weights.name}: {values.advised:.3f} dB, {values.exact:.3f} dB solved further")
    images = f"{len(files)} crops of {plan.side}×{plan.side}, one of each image of {Path(found.source).name}"
    return PsnrLine(weights.name, weights.family, images, values)


def _key(decides: Sequence[object]) -> str:
    text = json.dumps([*map(str, decides), fingerprint(SOURCES), versions()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _stored(file: Path, kind: type[Found]) -> Found | None:
    """What a file holds; ``None`` if there is none, or it is damaged."""
    try:
        values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))[NAMES[kind]]
        values |= {name: math.nan for name, value in values.items() if value is None}
        return kind(**values)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _store(file: Path, values: Measured | Scores, what: dict[str, object], weights: Published) -> None:
    content = {
        "weights": weights.name,
        "digest": weights.digest,
        "family": weights.family,
        **what,
        NAMES[type(values)]: finite(values.columns()),
        "provenance": provenance(torch.device("cpu")),
    }
    write_atomically(file, json.dumps(content, ensure_ascii=False, allow_nan=False))
