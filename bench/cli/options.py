"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ..utils.errors import UserError

PROFILES = Path(__file__).parent.parent / "config" / "profiles"


def _profiles(incomplete: str) -> list[str]:
    """Names of profiles for the completion of a shell; no profile is read."""
    return sorted(file.stem for file in PROFILES.glob(f"{incomplete}*.toml"))


def writable(folder: Path | None, option: str = "--out") -> Path | None:
    """Check, before anything is measured, that a folder can be written or made. Returns it.

    Raises:
        UserError: it is a file or under one, its name is too long, or the folder above it is read-only.
    """
    if folder is None:
        return None
    try:
        existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if _exists(path))
        is_folder = existing.is_dir()
    except OSError as error:
        raise UserError(
            f"cannot write to {option} {folder}: {error.strerror}: choose another folder"
        ) from error
    if not is_folder and existing == folder.absolute():
        raise UserError(f"{option} {folder} is a file: choose a folder")
    if not is_folder:
        raise UserError(f"{option} {folder} lies under the file {existing}: choose another folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(f"cannot write to {option} {folder}: {existing} is read-only: choose another folder")
    return folder


def writable_out(folder: Path) -> Path:
    """``writable`` as a callback of Typer, which looks at the parameters of one."""
    writable(folder)
    return folder


def _exists(path: Path) -> bool:
    """Whether a path exists; below a file none does. Raises ``OSError`` for an impossible name, e.g. too long."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


ProfileName = Annotated[
    str,
    typer.Argument(
        help="A name of 'list profiles', or a .toml file.", metavar="PROFILE", autocompletion=_profiles
    ),
]
SizesOf = Annotated[
    str,
    typer.Option(
        "--profile",
        help="Profile whose sizes, training and dtype are used.",
        autocompletion=_profiles,
        metavar="PROFILE",
    ),
]
Folder = Annotated[Path, typer.Argument(help="The --out of a run.", metavar="RUN")]
TaskCall = Annotated[
    str, typer.Option(help="Task, e.g. 'deblurring(huber)', or FILE.py:NAME.", metavar="TASK")
]
SolverCall = Annotated[
    str, typer.Option(help="Solver, e.g. 'restarted_jfb(10, 10)', or FILE.py:NAME.", metavar="SOLVER")
]
OperatorCall = Annotated[
    str | None,
    typer.Option(
        help="Operator, e.g. peaceman_rachford, or FILE.py:NAME; forward_backward by default, or that of your task.",
        metavar="OPERATOR",
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of crops, masks, noise and training.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Out = Annotated[
    Path,
    typer.Option(help="Folder of the results; made if missing.", callback=writable_out, metavar="FOLDER"),
]
Images = Annotated[
    str | None,
    typer.Option(
        help="Folder of images or slices (PNG, DICOM, NIfTI, NumPy, HDF5, …), a volume, 'ct', 'mr', 'xray', 'medical', "
        "or a data set that deepinv downloads (set14, bsds500, …); the packaged photographs by default.",
        metavar="FOLDER",
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        help="Weight file for the denoisers, or 'download' (deepinv's published ones).", metavar="FILE"
    ),
]
Bf16 = Annotated[bool, typer.Option("--bf16", help="Run the denoisers in bfloat16.")]
Device = Annotated[
    str, typer.Option(help="cpu, cuda, cuda:1, or auto: a GPU if there is one.", metavar="DEVICE")
]
