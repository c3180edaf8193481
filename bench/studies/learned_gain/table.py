"""The table of the study."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false
from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import pandas as pd

from ..intervals import mean_interval
from .measure import Gain

LEGEND = """\
PSNR in dB at the equilibrium, a mean over the test images and the seeds; of the magnitude for MRI. *One weight*: the
same for all bands, the best of a grid (ratio √2) by the PSNR of the training images. *Learned*: a weight for each band,
learned at the equilibrium by L-BFGS on the same training images, from the hand-tuned weight. *Gain*: learned less one
weight, paired by seed, with a 95 % interval (Student's t) over the seeds, which decide noise, masks and training crops;
the test crops are the same for all seeds. *Told apart*: whether 0 lies outside the interval.
"""


def gain_table(found: Mapping[tuple[str, str], Sequence[Gain]]) -> pd.DataFrame:
    """A line for each task: numbers.

    Args:
        found: by task and its images, a gain for each seed, of two seeds or more.
    """
    rows: list[dict[str, object]] = []
    for (task, images), gains in found.items():
        mean, half = mean_interval([gain.gain for gain in gains])
        rows.append(
            {
                "task": task,
                "images": images,
                "seeds": len(gains),
                "weights": len(gains[0].weights),
                "weight_least": min(gain.weight for gain in gains),
                "weight_most": max(gain.weight for gain in gains),
                "on_edge": sum(gain.on_edge for gain in gains),
                "start": statistics.mean(gain.start for gain in gains),
                "hand": statistics.mean(statistics.mean(gain.hand) for gain in gains),
                "learned": statistics.mean(statistics.mean(gain.learned) for gain in gains),
                "gain": mean,
                "half": half,
                "training_gain": statistics.mean(g.learned_training - g.hand_training for g in gains),
                "told_apart": abs(mean) > half,
            }
        )
    return pd.DataFrame(rows)


def seed_table(found: Mapping[tuple[str, str], Sequence[Gain]]) -> pd.DataFrame:
    """A line for each task and seed; the learned weights stand in the files of what is measured."""
    rows = [
        {
            "task": task,
            "images": images,
            "seed": seed,
            "weight": gain.weight,
            "start": gain.start,
            "hand": statistics.mean(gain.hand),
            "learned": statistics.mean(gain.learned),
            "gain": gain.gain,
            "hand_training": gain.hand_training,
            "learned_training": gain.learned_training,
            "steps": gain.steps,
            "ended": gain.ended,
        }
        for (task, images), gains in found.items()
        for seed, gain in enumerate(gains)
    ]
    return pd.DataFrame(rows)


def in_words(table: pd.DataFrame) -> str:
    """The table in Markdown."""
    lines: list[dict[str, str]] = []
    for row in table.to_dict("records"):
        least, most = f"{row['weight_least']:.2g}", f"{row['weight_most']:.2g}"
        lines.append(
            {
                "task": f"`{row['task']}`",
                "images": str(row["images"]),
                "start": f"{row['start']:.2f}",
                "one weight": f"{row['hand']:.2f}",
                "its value": least if least == most else f"{least} to {most}",
                "learned": f"{row['learned']:.2f}",
                "gain": f"{row['gain']:+.2f} ± {row['half']:.2f}",
                "told apart": "yes" if row["told_apart"] else "no",
                "gain on training images": f"{row['training_gain']:+.2f}",
            }
        )
    align = ("left", "left", *("right",) * 7)
    return pd.DataFrame(lines).to_markdown(index=False, colalign=align, disable_numparse=True)
