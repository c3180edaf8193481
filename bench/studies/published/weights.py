"""The weight files of a folder, in the layout of the comparative study arXiv 2510.01755."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...denoisers import weight_file
from ...regularisers import REGULARISERS
from ...tasks import Task, denoising
from ...utils.errors import UserError

NOISE = 0.1
"""Standard deviation of the noise of the tasks, for which the published weights were learned."""

OF_THE_STUDY = {
    name: sorted(names.values())
    for name, make in REGULARISERS.items()
    if (names := make().family.study_names)
}
"""Keys of the weight files by regulariser; those that the study has none of are left out."""


@dataclass(frozen=True, slots=True)
class Published:
    """A weight file.

    Attributes:
        name: of the file, without its suffix.
        family: the name of its regulariser in ``REGULARISERS``.
        digest: SHA-256 of the file.
        task: denoising with the regulariser.
    """

    name: str
    family: str
    digest: str
    task: Task

    def columns(self) -> dict[str, object]:
        """For a JSON file."""
        return {"weights": self.name, "digest": self.digest, "family": self.family}


def published_weights(folder: Path) -> list[Published]:
    """The weight files of a folder that a regulariser fits, sorted by name.

    The keys of a file tell its family. Those of a convex and of a weakly convex ridge regulariser are the same: between
    these the name of the file decides, which begins with ``crr`` or ``wcrr``.

    Raises:
        UserError: the folder cannot be read; it holds no weights of a known regulariser; a file is damaged; or its name
            leaves its family open.
    """
    try:
        files = sorted(file for file in folder.iterdir() if file.suffix == ".safetensors")
    except OSError as error:
        raise UserError(f"cannot read the folder of weights {folder}: {error.strerror}") from error
    if not files:
        raise UserError(f"the folder {folder} holds no weights: put .safetensors files there")
    found = [each for file in files if (each := _published(file)) is not None]
    if not found:
        raise UserError(
            f"no file in {folder} has the keys of {', '.join(OF_THE_STUDY)}, in the layout of arXiv 2510.01755"
        )
    return found


def _published(file: Path) -> Published | None:
    weights = weight_file(str(file))
    keys = set(weights.tensors())
    fitting = [name for name, names in OF_THE_STUDY.items() if set(names) == keys]
    if not fitting:
        return None
    if len(fitting) > 1:
        named = [name for name in fitting if file.name.lower().startswith(name)]
        if not named:
            raise UserError(
                f"{file.name} fits {' and '.join(fitting)}, whose keys are the same: begin its name with one of them"
            )
        fitting = named
    prior = REGULARISERS[fitting[0]]().with_weights(str(file))
    return Published(file.stem, fitting[0], weights.digest, denoising(prior, NOISE))


def chosen(found: Sequence[Published], texts: Sequence[str] | None) -> list[Published]:
    """The files whose names have one of the texts; all for ``None``. Raises ``UserError`` if a text is in none."""
    for text in texts or ():
        if not any(text in each.name for each in found):
            raise UserError(f"no weight file has {text!r} in its name; the first is {found[0].name}")
    return [each for each in found if not texts or any(text in each.name for text in texts)]
