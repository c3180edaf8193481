"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PROFILES = Path(__file__).parent / "profiles"


def _profiles(incomplete: str) -> list[str]:
    """For the completion of a shell, without reading any."""
    return sorted(file.stem for file in PROFILES.glob(f"{incomplete}*.toml"))


ProfileName = Annotated[
    str,
    typer.Argument(
        help="One of 'list profiles', or a .toml file.", metavar="PROFILE", autocompletion=_profiles
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, and nothing else.")]
Out = Annotated[Path, typer.Option("--out", help="Folder of the run; made if missing.", file_okay=True)]
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
