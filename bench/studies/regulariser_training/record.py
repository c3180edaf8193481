"""What a training leaves behind: its record in JSON, its steps in CSV, and a figure of several records."""

# The stubs of pandas and matplotlib know neither the types of columns nor those of arguments.
# pyright: reportArgumentType=false, reportUnknownMemberType=false
from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import torch
from matplotlib.figure import Figure

from ...utils.atomic_files import write_atomically
from ...utils.errors import UserError
from ...utils.json_values import finite
from ...utils.provenance import provenance
from .training import History


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """A training, as a file holds it.

    Attributes:
        name: what tables and figures call it.
        recipe: the settings, by name.
        history: its numbers.
        tape: bytes that the first step keeps for its backward pass.
        noisy: mean PSNR of the noisy validation crops in dB.
    """

    name: str
    recipe: dict[str, Any]
    history: History
    tape: int
    noisy: float

    def looks(self) -> pd.DataFrame:
        """A line for each look: ``name, seed, step, products, seconds, loss, psnr``.

        The loss is the mean over the steps since the look before; nan at step 0.
        """
        history = self.history
        lines: list[dict[str, object]] = []
        before = 0
        for step, psnr in zip(history.look_steps, history.look_psnr, strict=True):
            losses = history.losses[before:step]
            lines.append(
                {
                    "name": self.name,
                    "seed": self.recipe["seed"],
                    "step": step,
                    "products": history.products[step - 1] if step else 0.0,
                    "seconds": history.seconds[step - 1] if step else 0.0,
                    "loss": sum(losses) / len(losses) if losses else math.nan,
                    "psnr": psnr,
                }
            )
            before = step
        return pd.DataFrame(lines)

    def write(self, file: Path) -> None:
        """Write the record as JSON, and its looks as CSV beside it."""
        content = {**asdict(self), "provenance": provenance(torch.device("cpu"))}
        write_atomically(file, json.dumps(finite(content), ensure_ascii=False, indent=1))
        write_atomically(file.with_suffix(".csv"), self.looks().to_csv(index=False))


def read_record(file: Path) -> TrainingRecord:
    """Read a record. Raises ``UserError`` if it is missing or damaged."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        history = History(**values["history"])
        return TrainingRecord(values["name"], values["recipe"], history, values["tape"], values["noisy"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{file} is no record of a training: give the .json of a training") from error


def training_figure(records: Sequence[TrainingRecord], reference: float | None = None) -> Figure:
    """PSNR against products, and against seconds; a colour a name, a line a seed.

    ``reference`` is a PSNR in dB to draw as a line.
    """
    names = list(dict.fromkeys(record.name for record in records))
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
    for ax, column in zip(axes, ("products", "seconds"), strict=True):
        for record in records:
            looks = record.looks()
            first = next(r for r in records if r.name == record.name) is record
            ax.plot(
                looks[column],
                looks["psnr"],
                color=f"C{names.index(record.name)}",
                lw=1.2,
                label=record.name if first else None,
            )
        if reference is not None:
            ax.axhline(reference, color="0.5", lw=0.8, ls="--")
        ax.set_xlabel("applications + VJPs" if column == "products" else "seconds of one core")
    axes[0].set_ylabel("PSNR on validation crops (dB)")
    figure.tight_layout()
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    return figure
