"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ..utils.errors import UserError

PROFILES = Path(__file__).parent.parent / "config" / "profiles"


def _profiles(incomplete: str) -> list[str]:
    """For the completion of a shell, without reading any."""
    return sorted(file.stem for file in PROFILES.glob(f"{incomplete}*.toml"))


def writable(folder: Path | None, option: str = "--out") -> Path | None:
    """The folder that an option names, made or to be made; before anything is measured.

    Raises:
        UserError: it is a file or under one, its name is too long, or the place where it would be is read-only.
    """
    if folder is None:
        return None
    try:
        there = next(above for above in (folder.absolute(), *folder.absolute().parents) if _exists(above))
        is_folder = there.is_dir()
    except OSError as error:
        raise UserError(
            f"cannot write to {option} {folder}: {error.strerror}: choose another folder"
        ) from error
    if not is_folder and there == folder.absolute():
        raise UserError(f"{option} {folder} is a file: choose a folder")
    if not is_folder:
        raise UserError(f"{option} {folder} lies under the file {there}: choose another folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"cannot write to {option} {folder}: {there} is read-only: choose another folder")
    return folder


def writable_out(folder: Path) -> Path:
    """``writable``, as typer calls it."""
    writable(folder)
    return folder


def _exists(path: Path) -> bool:
    """Whether there is something; below a file there is nothing. Raises ``OSError`` for a name that cannot be."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


ProfileName = Annotated[
    str,
    typer.Argument(
        help="One of 'list profiles', or a .toml file.", metavar="PROFILE", autocompletion=_profiles
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, and nothing else.")]
Out = Annotated[
    Path,
    typer.Option("--out", help="Folder of the run; made if missing.", file_okay=True, callback=writable_out),
]
Images = Annotated[
    str | None,
    typer.Option(
        "--images", help="A folder of images, or a data set that deepinv downloads (set14, bsds500, …)."
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights", help="A weight file for the denoisers, or 'download' (deepinv's published ones)."
    ),
]
Bf16 = Annotated[bool, typer.Option("--bf16", help="Run the denoisers in bfloat16.")]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, or auto.")]
