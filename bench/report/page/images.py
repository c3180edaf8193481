"""Test images of a page: PNG in base64, each once, as many as there is room for."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
from __future__ import annotations

import base64
import hashlib
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from PIL import Image

from ...analysis.convergence import AT
from ..images import Arrays, SolverImages, psnr

ROOM = 3 * 2**20
"""Characters of base64 that the images of a page may take."""


@dataclass(frozen=True, slots=True)
class ImageView:
    """One image of a task, of a kind of ``images.KINDS``.

    ``solver`` is empty for truth and measurement, ``digest`` the key in ``StoredImages.images``, ``psnr`` in dB and
    ``None`` for the truth itself. An image of the kind ``equilibrium`` that is not at one is not ``settled``.
    """

    label: str
    kind: str
    solver: str
    digest: str
    psnr: float | None
    settled: bool = True


@dataclass(frozen=True, slots=True)
class ImageSet:
    """The images of a task, truth and measurement first; ``left_out`` counts those that there was no room for."""

    heading: str
    seed: int
    height: int
    width: int
    views: tuple[ImageView, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class StoredImages:
    """Images of every task, and PNGs in base64 by digest."""

    albums: tuple[ImageSet, ...]
    images: dict[str, str]


def collect(
    images: Mapping[str, Mapping[str, SolverImages]], first: set[tuple[str, str]], room: int = ROOM
) -> StoredImages:
    """The images that fit: truth and measurement of every task, then those of ``first``, then all others.

    Images of another seed than that of the first solver of a task show another crop, and are dropped.

    Args:
        images: by heading and solver.
        first: headings and solvers.
        room: characters of base64.
    """
    store, albums = _Room(room), []
    inputs: dict[str, list[ImageView]] = {}
    for heading, solvers in images.items():
        arrays = next(iter(solvers.values())).arrays
        both = (store.view(kind, kind, "", arrays) for kind in ("truth", "measurement"))
        inputs[heading] = [view for view in both if view]
    views: dict[tuple[str, str], list[ImageView]] = {}
    missing = dict.fromkeys(images, 0)
    cells = [(heading, solver) for heading, solvers in images.items() for solver in solvers]
    for heading, solver in sorted(cells, key=lambda cell: cell not in first):
        made = images[heading][solver]
        if made.seed != next(iter(images[heading].values())).seed:
            continue
        for kind, words in (("equilibrium", made.words), ("trained", "as trained")):
            view = store.view(f"{solver}, {words}", kind, solver, made.arrays) if inputs[heading] else None
            if view:
                settled = words in (AT, "as trained")
                views.setdefault((heading, solver), []).append(replace(view, settled=settled))
            missing[heading] += view is None
    for heading, solvers in images.items():
        shown = [view for solver in solvers for view in views.get((heading, solver), [])]
        if shown:
            one = next(iter(solvers.values()))
            height, width = one.arrays["truth"].shape[1:]
            shown = (*inputs[heading], *shown)
            albums.append(ImageSet(heading, one.seed, height, width, shown, missing[heading]))
    return StoredImages(tuple(albums), store.images)


def best_solvers(frame: pd.DataFrame) -> set[tuple[str, str]]:
    """For each heading and family the solver with the highest PSNR on one seed.

    Args:
        frame: of ``tidy.tidy``.
    """
    rows = frame[(frame["status"] == "ok") & frame["psnr"].notna()]
    best = rows.sort_values("psnr", ascending=False, kind="stable").drop_duplicates(["heading", "family"])
    return set(zip(best["heading"], best["solver"], strict=True))


class _Room:
    """Images by digest, until there is no room for more."""

    def __init__(self, room: int) -> None:
        self.images: dict[str, str] = {}
        self.left = room

    def view(self, label: str, kind: str, solver: str, arrays: Arrays) -> ImageView | None:
        """An image of ``arrays``, stored; ``None`` if there is no room for it."""
        image = arrays[kind]
        digest = hashlib.sha256(str(image.shape).encode() + image.tobytes()).hexdigest()[:12]
        if digest not in self.images:
            encoded = _png(image)
            if len(encoded) > self.left:
                return None
            self.left -= len(encoded)
            self.images[digest] = encoded
        value = psnr(arrays["truth"], image)
        return ImageView(label, kind, solver, digest, value if math.isfinite(value) else None)


def _png(image: np.ndarray) -> str:
    """An image of one or three channels as PNG in base64."""
    grey = image.shape[0] == 1
    picture = Image.fromarray(image[0] if grey else np.ascontiguousarray(image.transpose(1, 2, 0)))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()
