"""The command ``certificates``."""

from __future__ import annotations

from typing import Annotated

import typer

from ..utils.console import say
from ..utils.errors import UserError
from .options import Images, Out


def certificates(
    out: Out,
    part: Annotated[
        list[str] | None, typer.Option(help="rigorous, estimates or depths; all by default.", metavar="PART")
    ] = None,
    timing: Annotated[
        bool, typer.Option("--timing", help="Time training steps with certificates instead (minutes).")
    ] = False,
    images: Images = None,
) -> None:
    """Compare certified bounds with actual errors (20 minutes).

    The operators are those of the benchmark's tasks. Writes tables and figures of the bounds and of their cost.

    \b
    python -m bench certificates --out results/certificates
    """
    from ..studies.certificates.study import PARTS, TIMING, certificate_study

    if timing and part:
        raise UserError("--timing measures no other part: leave out --part")
    for file in certificate_study(out, [TIMING] if timing else part or list(PARTS), images, progress=say):
        print(file)  # noqa: T201
