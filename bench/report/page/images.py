"""Images of a page: PNG in base64, one of each, as many as there is room for."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from ...analysis import convergence
from ...analysis.tidy import headings
from ...config.call_syntax import family
from ...records.record import Record

ROOM = 3 * 2**20
"""Characters of base64 that the images of a page may take."""
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class ImageView:
    """One image of a task.

    Attributes:
        label: what it is.
        kind: ``truth``, ``measurement``, ``trained`` or ``equilibrium``.
        solver: that made it; empty for the first two.
        digest: of the image, its name in ``ImageSet.images``.
        psnr: of this image against the truth in dB; ``None`` for the truth itself.
        settled: it is what it is called: an image at the equilibrium is at one.
    """

    label: str
    kind: str
    solver: str
    digest: str
    psnr: float | None
    settled: bool = True


@dataclass(frozen=True, slots=True)
class ImageSet:
    """The images of a task.

    Attributes:
        heading: of the task.
        seed: whose first test image it is.
        height, width: in pixels.
        shots: truth and measurement first.
        left_out: how many more there were no room for.
    """

    heading: str
    seed: int
    height: int
    width: int
    shots: tuple[ImageView, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class StoredImages:
    """``albums``, and ``images``: PNG in base64 by digest."""

    albums: tuple[ImageSet, ...]
    images: dict[str, str]


@dataclass(frozen=True, slots=True)
class UsedPanels:
    """What a solver made of a test image.

    Attributes:
        seed: whose test image it is.
        arrays: the images by kind.
        words: what the one at the equilibrium is called.
    """

    seed: int
    arrays: Arrays
    words: str


def read_images(records: Iterable[Record], rows: Path) -> dict[str, dict[str, UsedPanels]]:
    """By heading and solver the images of its first seed that has some.

    Args:
        records: of the run.
        rows: the folder of their files. A file that cannot be read is as good as none.
    """
    every = list(records)
    shown = headings(every)
    found: dict[str, dict[str, UsedPanels]] = {}
    for record in every:
        heading = shown[record.task, record.crop, record.batch]
        file = rows / f"{record.key}.npz"
        if record.status != "ok" or record.solver in found.get(heading, {}) or not file.is_file():
            continue
        try:
            with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as arrays:
                images = {name: arrays[name] for name in ("truth", "measurement", "trained", "equilibrium")}
        except (OSError, ValueError, KeyError, EOFError):
            continue
        if all(image.dtype == np.uint8 and image.ndim == 3 for image in images.values()):
            found.setdefault(heading, {})[record.solver] = UsedPanels(
                record.seed, images, convergence.equilibrium_words(record)
            )
    return found


def collect(
    found: dict[str, dict[str, UsedPanels]], first: set[tuple[str, str]], room: int = ROOM
) -> StoredImages:
    """The images that fit, those of ``first`` (heading and solver) before others; a task's truth before all.

    Images of another seed than the first solver's show another crop, and are left out.
    """
    store = _Room(room)
    begun: dict[str, list[ImageView]] = {}
    waiting: list[tuple[str, str, UsedPanels]] = []
    for heading, solvers in found.items():
        one = next(iter(solvers.values()))
        begun[heading] = [
            shot
            for kind in ("truth", "measurement")
            if (shot := store.shot(kind, kind, "", one.arrays)) is not None
        ]
        waiting += [(heading, solver, taken) for solver, taken in solvers.items() if taken.seed == one.seed]
    missed = dict.fromkeys(found, 0)
    made: dict[tuple[str, str], list[ImageView]] = {}
    for heading, solver, taken in sorted(waiting, key=lambda entry: entry[:2] not in first):
        for kind in ("equilibrium", "trained"):
            label = f"{solver}, {taken.words if kind == 'equilibrium' else 'as trained'}"
            shot = store.shot(label, kind, solver, taken.arrays) if begun[heading] else None
            if shot is not None and kind == "equilibrium":
                shot = replace(shot, settled=taken.words == convergence.AT)
            if shot is None:
                missed[heading] += 1
            else:
                made.setdefault((heading, solver), []).append(shot)
    albums = []
    for heading, shots in begun.items():
        mine = [shot for (h, s, _) in waiting if h == heading for shot in made.get((h, s), [])]
        one = next(iter(found[heading].values()))
        height, width = one.arrays["truth"].shape[1:]
        if mine:
            albums.append(ImageSet(heading, one.seed, height, width, (*shots, *mine), missed[heading]))
    return StoredImages(tuple(albums), store.images)


def best_depths(best: Iterable[tuple[str, str, float]]) -> set[tuple[str, str]]:
    """Of headings, solvers and PSNRs, for each heading and family the solver with the highest."""
    found: dict[tuple[str, str], tuple[float, str]] = {}
    for heading, solver, psnr in best:
        key = heading, family(solver)
        if psnr == psnr and (key not in found or psnr > found[key][0]):
            found[key] = psnr, solver
    return {(heading, solver) for (heading, _), (_, solver) in found.items()}


class _Room:
    """Images by digest, until there is no room for more."""

    def __init__(self, room: int) -> None:
        self.images: dict[str, str] = {}
        self.left = room

    def shot(self, label: str, kind: str, solver: str, arrays: Arrays) -> ImageView | None:
        image = arrays[kind]
        digest = hashlib.sha256(str(image.shape).encode() + image.tobytes()).hexdigest()[:12]
        if digest not in self.images:
            encoded = _png(image)
            if len(encoded) > self.left:
                return None
            self.left -= len(encoded)
            self.images[digest] = encoded
        return ImageView(
            label, kind, solver, digest, None if kind == "truth" else _psnr(arrays["truth"], image)
        )


def _png(image: np.ndarray) -> str:
    """An image of one or three channels as PNG in base64."""
    picture = Image.fromarray(
        image[0] if image.shape[0] == 1 else np.ascontiguousarray(image.transpose(1, 2, 0))
    )
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def _psnr(truth: np.ndarray, image: np.ndarray) -> float | None:
    error = float(np.mean((truth.astype(float) - image.astype(float)) ** 2)) / 255**2
    return float(-10 * np.log10(error)) if error else None
