"""Compare recipes at equal products: ``python -m bench.studies.regulariser_training.compare --help``."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false, reportUnknownMemberType=false
from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pandas as pd
import torch
import typer

from ...config.lookup import DenoiserOptions, parse_task
from ...regularisers import REGULARISERS, LearnedPrior
from ...report.figure_style import save_figure
from ...tasks import Task
from ...utils.atomic_files import make_folder, write_atomically
from ...utils.console import print_frame, run_command, say
from ...utils.errors import UserError, unknown
from ..denoiser_training.crops import read_folders
from ..intervals import mean_interval
from .recipe import RECIPES, Recipe
from .record import TrainingRecord, read_record, training_figure
from .train import fit_regulariser
from .training import Budget, Training
from .validation import Validation, validation_crops

app = typer.Typer(add_completion=False, rich_markup_mode=None)
SHARES = (0.25, 0.5, 1.0)
"""Shares of the products at which the table has the PSNR."""
ESTIMATORS: Mapping[str, str] = {
    "JFB": "implicit(quasi_newton(3e-5, 25), iterate(0))",
    "restarted JFB": "restarted_jfb(10, 10)",
    "IFT": "implicit(quasi_newton(1e-6, 200), cg(1e-4))",
    "estimated": "estimated(1e-2, symmetric=True)",
}
"""Estimators to which the comparison gives the optimiser of ``fast``."""


def competitors() -> dict[str, Recipe]:
    """The named recipes, and ``fast`` with each other estimator."""
    return {
        "fast": RECIPES["fast"],
        "study": replace(RECIPES["study"], crop=RECIPES["fast"].crop),  # so that products cost the same
        **{name: replace(RECIPES["fast"], solver=solver) for name, solver in ESTIMATORS.items()},
    }


def psnr_at(record: TrainingRecord, products: float) -> float:
    """The PSNR in dB of the first look at so many products or more, to the credit of estimators with costly steps."""
    looks = record.looks()
    return float(looks.loc[looks["products"] >= products, "psnr"].iloc[0])


def comparison_table(records: Sequence[TrainingRecord], products: float) -> pd.DataFrame:
    """A line a name: PSNR at shares of the products, mean over seeds ± sample standard deviation."""
    rows: list[dict[str, str]] = []
    for name in dict.fromkeys(record.name for record in records):
        own = [record for record in records if record.name == name]
        row = {"recipe": name, "solver": str(own[0].recipe["solver"])}
        for share in SHARES:
            values = pd.Series([psnr_at(record, share * products) for record in own])
            spread = f" ± {values.std():.2f}" if len(values) > 1 else ""
            row[f"{share * products:.0f} products"] = f"{values.mean():.2f}{spread} dB"
        row["steps"] = f"{sum(len(r.history.losses) for r in own) / len(own):.0f}"
        row["seconds"] = f"{sum(r.history.seconds[-1] for r in own) / len(own):.0f}"
        row["tape"] = f"{max(r.tape for r in own) / 2**20:.0f} MiB"
        rows.append(row)
    return pd.DataFrame(rows)


def difference_table(records: Sequence[TrainingRecord], products: float) -> pd.DataFrame:
    """A line a name: PSNR less that of the first name with the same seed, mean ± half of a 95 % interval (Student's t).

    The last column says whether zero is outside the interval of the last share. Crops, noise and initial parameters are
    those of the seed, so pairs vary less than PSNR does. Empty with one seed.
    """
    names = list(dict.fromkeys(record.name for record in records))
    by_seed = {
        name: {record.recipe["seed"]: record for record in records if record.name == name} for name in names
    }
    rows: list[dict[str, str]] = []
    for name in names[1:]:
        seeds = sorted(by_seed[name].keys() & by_seed[names[0]].keys())
        if len(seeds) < 2:
            continue
        row, mean, half = {"recipe": name}, 0.0, 0.0
        for share in SHARES:
            budget = share * products
            gaps = [psnr_at(by_seed[name][k], budget) - psnr_at(by_seed[names[0]][k], budget) for k in seeds]
            mean, half = mean_interval(gaps)
            row[f"{budget:.0f} products"] = f"{mean:+.2f} ± {half:.2f} dB"
        row["told apart"] = "yes" if abs(mean) > half else "no"
        rows.append(row)
    return pd.DataFrame(rows)


def _judge(task: Task, files: Sequence[str], validation: Validation) -> dict[str, float]:
    values: dict[str, float] = {}
    for file in files:
        prior = DenoiserOptions(file).apply(task).prior
        assert isinstance(prior, LearnedPrior)
        values[Path(file).name] = validation.psnr(prior.regulariser(torch.float32, "cpu"))
    return values


@app.command()
def compare(
    prior: Annotated[str, typer.Argument(help="A call of " + ", ".join(REGULARISERS) + ".")],
    images: Annotated[
        list[Path], typer.Option("--images", help="A folder of training images; may be repeated.")
    ],
    test: Annotated[Path, typer.Option("--test", help="A folder of images to judge on.")],
    out: Annotated[Path, typer.Option("--out", help="A folder.")],
    only: Annotated[list[str] | None, typer.Option("--only", help="Names of competitors.")] = None,
    products: Annotated[float, typer.Option("--products", min=1.0)] = 800,
    seeds: Annotated[int, typer.Option("--seeds", min=1)] = 3,
    looks: Annotated[int, typer.Option("--looks", help="Number of looks at the PSNR.", min=1)] = 4,
    noise: Annotated[float, typer.Option("--noise", help="Standard deviation of the noise.")] = 0.1,
    test_crop: Annotated[int, typer.Option("--test-crop", min=16)] = 64,
    weights: Annotated[
        list[str] | None, typer.Option("--weights", help="A file to judge on the same crops.")
    ] = None,
) -> None:
    """Train each recipe with each seed to the same number of products; measured trainings are kept."""
    known = competitors()
    for name in only or ():
        if name not in known:
            raise unknown("competitor", name, known)
    if prior.partition("(")[0] not in REGULARISERS:
        raise unknown("regulariser", prior, REGULARISERS)
    task = parse_task(f"denoising({prior}, noise={noise:g})")
    torch.set_num_threads(1)
    validation = validation_crops(test, noise, test_crop)
    judged = _judge(task, weights or (), validation)
    make_folder(out)
    records: list[TrainingRecord] = []
    for seed in range(seeds):
        for name, recipe in known.items():
            if only and name not in only:
                continue
            training = Training(task, recipe, Budget(products=products), seed)
            records.append(_trained(name, training, images, validation, out, looks))
    table = comparison_table(records, products)
    differences = difference_table(records, products)
    text = table.to_markdown(index=False) + "\n"
    if len(differences):
        text += f"\nLess `{records[0].name}`, with the same seed:\n\n{differences.to_markdown(index=False)}\n"
    write_atomically(out / "comparison.md", text)
    save_figure(training_figure(records, max(judged.values(), default=None)), "comparison", out)
    print_frame(table, f"noisy {validation.psnr_of(validation.y):.2f} dB")
    if len(differences):
        print_frame(differences, f"less {records[0].name}, with the same seed")
    for name, psnr in judged.items():
        say(f"{name}: {psnr:.2f} dB")


def _trained(
    name: str, training: Training, images: list[Path], validation: Validation, out: Path, looks: int
) -> TrainingRecord:
    """A stored record, or a new training."""
    stem = f"{name.replace(', ', '-').replace(' ', '-')}-{training.seed}"
    file = out / f"{stem}.json"
    if file.is_file():
        record = read_record(file)
        if record.recipe != training.identity:
            raise UserError(f"{file} is of another training: remove it, or give another --out")
        return record
    photographs = read_folders(images, 1, training.recipe.crop)
    say(f"{name}, seed {training.seed}")
    record = fit_regulariser(training, photographs, validation, out / f"{stem}.checkpoint", looks)
    record = replace(record, name=name)
    record.write(file)
    (out / f"{stem}.checkpoint").unlink(missing_ok=True)
    return record


if __name__ == "__main__":
    sys.exit(run_command(app, "python -m bench.studies.regulariser_training.compare", None))
