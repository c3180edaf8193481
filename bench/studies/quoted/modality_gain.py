"""What the study of learned weights says in docs/physics.md."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportCallIssue=false
from __future__ import annotations

from ..learned_gain.table import in_words
from .references import reference_csv, word

GAIN = "modality-gain-cpu/gain.csv"


def modality_gain() -> str:
    """Learned weights against one hand-tuned weight, on each modality."""
    return in_words(reference_csv(GAIN))


def told_apart() -> list[str]:
    """Number of tasks whose gain is above 0 by more than its interval, and number of tasks."""
    table = reference_csv(GAIN)
    return [word(int(((table["gain"] > 0) & table["told_apart"]).sum())), word(len(table))]


def start_is_best() -> bool:
    """Whether on single-coil MRI and both super-resolutions, and only there, the start has the higher PSNR."""
    table = reference_csv(GAIN).set_index("task")
    better = table.index[table["start"] > table["learned"]]
    return list(better) == [task for task in table.index if task.startswith(("mri(", "super_resolution("))]
