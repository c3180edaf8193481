"""Measure all rows on all weight files and seeds; what is measured is kept, and not measured again."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from ...tasks import build_problem
from ...tasks.images import ImageFile, Images, Layout, path_of
from ...utils.atomic_files import make_folder
from ...utils.errors import UserError
from ...utils.provenance import QUALITY, device_name
from ...utils.random_streams import stream_seed
from ..learning.study import one_thread
from ..measured_files import measured_key, store_values, stored_values
from .measure import Measured, measure
from .psnr import Scores, scores
from .reference import reference_of
from .report import write_report
from .rows import ROWS, Row
from .table import GradientLine, PsnrLine
from .weights import Published

SOURCES = (
    *QUALITY,
    "bench/studies/psnr.py",
    *(f"bench/studies/published/{name}.py" for name in ("measure", "psnr", "reference")),
)
"""Sources that decide what a row measures."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    Attributes:
        weights: on each of them every row.
        images, layout: the training crops are one batch; there is one test crop, which is not used.
        seeds: number of seeds, from 0.
        rows: ways to a gradient.
        photographs: sets of images for PSNR.
        first: number of images of each set, the first by name; ``None`` for all.
        side: of their crops in pixels.
    """

    weights: Sequence[Published]
    images: Images
    layout: Layout
    seeds: int = 1
    rows: Sequence[Row] = ROWS
    photographs: Sequence[Images] = ()
    first: int | None = None
    side: int = 128

    @property
    def setting(self) -> str:
        """A line on images, seeds and the machine."""
        layout, seeds = self.layout, "1 seed" if self.seeds == 1 else f"{self.seeds} seeds"
        crops = f"{layout.train} crop" + "s" * (layout.train > 1)
        source = Path(self.images.source).name
        machine = device_name(torch.device("cpu"))
        return f"{crops} of {layout.crop}×{layout.crop} from {source}, {seeds}, float64, one thread of {machine}."

    def psnr_images(self, photographs: Images) -> tuple[ImageFile, ...]:
        """The images of a set that are denoised, by name."""
        return tuple(sorted((*photographs.train, *photographs.test), key=path_of))[: self.first]

    def images_of(self, photographs: Images) -> str:
        """In words."""
        count, everything = len(self.psnr_images(photographs)), len((*photographs.train, *photographs.test))
        which = "the" if count == everything else f"the first {count} by name of the {everything}"
        return (
            f"a crop of {self.side}×{self.side} of each of {which} images of {Path(photographs.source).name}"
        )

    def gradient_file(self, out: Path, weights: Published, seed: int, row: Row) -> Path:
        """Where a row on a weight file with a seed is kept."""
        key = measured_key([row.identity, *self._place(weights, seed)], SOURCES)
        return out / "measured" / f"{key}.json"

    def reference_file(self, out: Path, weights: Published, seed: int) -> Path:
        """Where the reference gradient is kept."""
        return out / "references" / f"{measured_key(self._place(weights, seed), SOURCES)}.safetensors"

    def psnr_file(self, out: Path, weights: Published, photographs: Images) -> Path:
        """Where the PSNR on a set of images is kept."""
        count = len(self.psnr_images(photographs))
        decides = ["psnr", weights.digest, weights.family, photographs.digest, count, self.side]
        return out / "measured" / f"{measured_key(decides, SOURCES)}.json"

    def _place(self, weights: Published, seed: int) -> list[object]:
        return [weights.digest, repr(weights.task), asdict(self.layout), self.images.digest, seed]


def published_study(plan: Plan, out: Path, progress: Callable[[str], None] = lambda line: None) -> list[Path]:
    """Measure what ``out`` does not hold yet. Returns the files of the tables and the figure.

    These are written after each weight file; what is measured is kept if the study is stopped before. Everything is
    computed in float64 on one thread of the CPU. ``progress`` gets a line for each row.

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
    files: list[Path] = []
    with one_thread():
        for each in plan.weights:
            for seed in range(plan.seeds):
                _measure_gradients(plan, each, seed, out, progress)
            for photographs in plan.photographs:
                _measure_psnr(plan, each, photographs, out, progress)
            files = published_tables(plan, out)
    return files


def published_tables(plan: Plan, out: Path) -> list[Path]:
    """Write the tables and the figure of what ``out`` holds. They name what of the plan it does not hold.

    Raises:
        UserError: it holds no gradient of the plan.
        Unwritable: the disk is full, or may only be read.
    """
    lines, scored, missing = list[GradientLine](), list[PsnrLine](), list[str]()
    for weights, seed in itertools.product(plan.weights, range(plan.seeds)):
        lacking: list[str] = []
        for row in plan.rows:
            measured = stored_values(plan.gradient_file(out, weights, seed, row), "gradient", Measured)
            if measured is None:
                lacking.append(f"`{row.solver.label}`")
            else:
                lines.append(GradientLine(weights.name, weights.family, seed, row, measured))
        if lacking:
            what = ", ".join(lacking) if len(lacking) < len(plan.rows) else "all rows"
            missing.append(f"{weights.name}, seed {seed}: {what}")
    for weights, photographs in itertools.product(plan.weights, plan.photographs):
        values = stored_values(plan.psnr_file(out, weights, photographs), "psnr", Scores)
        images = plan.images_of(photographs)
        if values is None:
            missing.append(f"{weights.name}: PSNR of {images}")
        else:
            scored.append(PsnrLine(weights.name, weights.family, images, values))
    if not lines:
        raise UserError(
            f"{out} holds no gradient at these weights, images and crops that was measured with the present sources: "
            "measure some first"
        )
    return write_report(lines, scored, plan.setting, missing, out)


def _measure_gradients(
    plan: Plan, weights: Published, seed: int, out: Path, progress: Callable[[str], None]
) -> None:
    """All rows on a weight file with a seed."""
    problem, reference = None, None
    for row in plan.rows:
        file = plan.gradient_file(out, weights, seed, row)
        if stored_values(file, "gradient", Measured) is not None:
            continue
        if problem is None or reference is None:
            torch.manual_seed(stream_seed(seed, "everything else"))
            problem = build_problem(weights.task, plan.images, plan.layout, seed, dtype=torch.float64)
            reference = reference_of(problem, plan.reference_file(out, weights, seed))
        measured = measure(row, problem, reference)
        what = weights.columns() | {"row": row.solver.label, "seed": seed}
        store_values(file, what, "gradient", measured.columns())
        progress(
            f"{weights.name}, seed {seed} · {row.solver.label}: {measured.applications + measured.vjps:.0f} "
            f"products, error {measured.error:.1e}, {measured.seconds:.1f} s"
        )


def _measure_psnr(
    plan: Plan, weights: Published, photographs: Images, out: Path, progress: Callable[[str], None]
) -> None:
    file = plan.psnr_file(out, weights, photographs)
    if stored_values(file, "psnr", Scores) is not None:
        return
    files = plan.psnr_images(photographs)
    values = scores(weights.task, files, plan.side, 0)
    what = weights.columns() | {"images": [file.name for file in files], "side": plan.side}
    store_values(file, what, "psnr", values.columns())
    progress(f"{weights.name}: {values.advised:.3f} dB, {values.exact:.3f} dB solved further")
