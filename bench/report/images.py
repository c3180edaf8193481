"""The test images that a run stored."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..analysis.convergence import equilibrium_words
from ..analysis.tidy import headings
from ..records.record import Record

KINDS = ("truth", "measurement", "trained", "equilibrium")
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class SolverImages:
    """What a solver made of a test image.

    Attributes:
        seed: of the cell.
        arrays: images of 8 bits by kind, of shape (channels, height, width).
        words: name of the one at the equilibrium.
    """

    seed: int
    arrays: Arrays
    words: str


def read_images(records: Sequence[Record], rows: Path) -> dict[str, dict[str, SolverImages]]:
    """By heading and solver the images of the first seed that has some.

    Args:
        records: of a run.
        rows: the folder of their files. A file that cannot be read counts as missing.
    """
    heading_of = headings(records)
    images: dict[str, dict[str, SolverImages]] = {}
    for record in records:
        heading = heading_of[record.task, record.crop, record.batch]
        if record.status != "ok" or record.method in images.get(heading, {}):
            continue
        try:
            with np.load(io.BytesIO((rows / f"{record.key}.npz").read_bytes()), allow_pickle=False) as file:
                arrays = {kind: file[kind] for kind in KINDS}
        except (OSError, ValueError, KeyError, EOFError):
            continue
        if all(image.dtype == np.uint8 and image.ndim == 3 for image in arrays.values()):
            of_task = images.setdefault(heading, {})
            of_task[record.method] = SolverImages(record.seed, arrays, equilibrium_words(record))
    return images


def psnr(truth: np.ndarray, image: np.ndarray) -> float:
    """PSNR of an image of 8 bits in dB; infinite if it is the truth."""
    error = np.mean((truth.astype(float) - image.astype(float)) ** 2) / 255**2
    return float(-10 * np.log10(error)) if error else float("inf")
