"""Placeholder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .table import GradientLine, PsnrLine


def write_report(
    lines: Sequence[GradientLine], psnr: Sequence[PsnrLine], setting: str, out: Path
) -> list[Path]:
    return []
