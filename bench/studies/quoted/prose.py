"""The sentences of README and docs with numbers from the references, and those that the references must bear out."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from ...analysis.cost_at_error import cost_at_error, percent
from .blocks import LEARNED, NETWORKS, TASKS, TRAINED, TUNED, WARM, cheapest_advised, depth, products
from .modality_gain import start_is_best, told_apart
from .outer import every_task_is_learned, headline
from .published import (
    advised_beats_the_study,
    largest_change_of_psnr,
    mean_psnr_is_that_of_further_solves,
    misses_of_the_estimates,
    published_references,
    symmetric_takes_fewer_products,
)
from .references import (
    LEARNING,
    OPERATORS,
    PARETO,
    SMALL,
    claim_count,
    counts,
    errors,
    mutant_count,
    products_and_error,
    records,
    reference_csv,
    run_setting,
    tidy_reference,
    training_looks,
    word,
)


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence of a page, with ``{}`` for each number from records; its line breaks do not matter."""

    page: str
    text: str
    values: Callable[[], Sequence[str]]


@dataclass(frozen=True, slots=True)
class CheckedSentence:
    """A sentence without numbers, and whether the records bear it out."""

    page: str
    text: str
    holds: Callable[[], bool]


def _whole_percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %")


def _operators_settings() -> list[str]:
    """Crop, dtype and threads of the tuned task."""
    settings = [r.settings for r in records(OPERATORS) if r.kind == "quality" and r.task == TUNED]
    (crop,) = {s["images"]["crop"] for s in settings}
    (dtype,), (threads,) = ({s[name] for s in settings} for name in ("dtype", "threads"))
    return [f"{crop}×{crop}", str(dtype), word(threads)]


def _errors_of_other_tasks() -> list[str]:
    """Least and largest error, on each other task, of the settings that are tuned on the deblurring."""
    rows = cost_at_error(tidy_reference(PARETO), TUNED)
    by_task = [rows.loc[rows["heading"] == task, "error"] for task in TASKS[1:]]
    return [percent(value) for part in by_task for value in (part.min(), part.max())]


def _network_rows() -> pd.DataFrame:
    rows = tidy_reference(SMALL)
    return pd.DataFrame(rows[rows["task"].str.contains("drunet")])


def _by_solver(column: str) -> pd.DataFrame:
    """A column for the networks: a row for each task, a column for each solver of the table of depths."""
    rows = _network_rows()
    rows = rows[rows["solver"].isin(TRAINED.values())]
    return rows.pivot_table(index="heading", columns="solver", values=column)


def _restarts_and_run() -> list[str]:
    """Time of a step with ten restarts over one without; crops, test images, seeds and steps of the run."""
    times = _by_solver("step_ms")
    ratios = times["restarted_jfb(10, 10)"] / times["restarted_jfb(10, 0)"]
    images, crop = (run_setting(SMALL, "images", key) for key in ("test", "crop"))
    (steps,) = {
        r.settings["training"]["steps"] for r in records(SMALL) if r.kind == "quality" and "drunet" in r.task
    }
    assert isinstance(images, int)
    seeds = tidy_reference(SMALL)["seed"].nunique()
    run = [f"{crop}×{crop}", word(images), word(seeds), str(steps)]
    return [f"{ratios.min():.0f}", f"{ratios.max():.0f}", *run]


def _jacobian_norms() -> list[str]:
    norms = _network_rows()["jacobian_norm"]
    return [f"{norms.min():.2f}", f"{norms.max():.2f}"]


def _losses_past_depth(solver: str) -> list[str]:
    """Number of networks whose PSNR at ten times the depth is a decibel lower, or whose iteration diverges."""
    count = 0
    for call in NETWORKS.values():
        for learned in LEARNED:
            trained, later = depth(call.format(learned), solver).split(" → ")
            count += later == "diverged" or float(later.split(" ")[0]) < float(trained) - 1
    return [word(count)]


def _recorded_layers() -> list[str]:
    """Recorded layers for 1 % on the deblurring; at L = 0.995 the error of the most, and the advised setting."""
    rows = cost_at_error(tidy_reference(PARETO), TUNED)
    tuned = rows[(rows["heading"] == TUNED) & (rows["family"] == "restarted_jfb")]["solver"].iloc[0]
    layers = tuned.partition("(")[2].split(",")[0]
    implicit = cheapest_advised()[1]
    most = errors(TASKS[2], "restarted_jfb(180, 1)")
    return [layers, "180", *most, implicit, *products_and_error(TASKS[2], implicit)]


def _nesterov_and_anderson() -> list[str]:
    return [
        value
        for forward_solver in ("nesterov", "anderson")
        for value in products_and_error(TASKS[1], f"implicit({forward_solver}(0.0001), gmres(0.003))")
    ]


def _dncnn() -> list[str]:
    work, error = products_and_error("deblurring(dncnn)", "deq(0.0001)")
    return [error, work, *errors("deblurring(dncnn)", "restarted_jfb(10, 4)", "restarted_jfb(10, 1)")]


def _jfb_error_and_cosine() -> list[str]:
    rows = tidy_reference(LEARNING).query("solver == 'jfb(40)' and heading == @TUNED")
    row = rows.iloc[0]
    return [percent(row["hypergradient_error"]), f"{row['hypergradient_cosine']:.2f}"]


def _warm_start_savings() -> list[str]:
    """Least and largest fraction of products that warm starts save, of the solvers with a tolerance."""
    shares = [
        1 - float(products(f"{task}, warm", solver)) / float(products(task, solver))
        for task in TASKS[:2]
        for solver in WARM[:3]
    ]
    return [f"{100 * min(shares):.0f} %", f"{100 * max(shares):.0f} %"]


def _unrolled_behind_best() -> list[str]:
    """How far ten unrolled layers are behind the best PSNR of the inpainting, at the last test."""
    rows = training_looks(LEARNING).query("heading == 'inpainting(huber)'")
    last = rows.groupby("solver")["psnr"].last()
    return [f"{last.max() - last['unrolled(10)']:.1f} dB"]


def _descents() -> pd.DataFrame:
    """The last step of each descent of the trajectory reference, with its loss relative to that of exact gradients."""
    rows = reference_csv("trajectory-cpu/rows.csv").groupby("course", sort=False).tail(1).set_index("course")
    return rows.assign(excess=rows["loss"] / rows.loc["deq(1e-10)", "loss"] - 1)


def _descent_losses() -> list[str]:
    excess = _descents()["excess"]
    deq = excess["deq(0.0001)"]
    values = (excess["restarted_jfb(10, 10)"], excess["jfb(40)"], abs(deq))
    return [*map(_whole_percent, values), "below" if deq < 0 else "above"]


def _schedule_savings() -> list[str]:
    work = _descents()["work"]
    saved = 1 - work["schedule 0.3 to 0.01"] / work["certified(0.01)"]
    return [f"{100 * saved:.0f} %"]


def _costs_grow_linearly() -> bool:
    rows = reference_csv("growth-cpu/tables/growth.csv").query("against == 'pixels'")
    sizes = [{size.strip() for size in str(row).split(",")} for row in rows["sizes"]]
    return bool((rows["exponent"] <= 1.05).all()) and any({"64", "1024"} <= each for each in sizes)


def _same_tape() -> bool:
    bytes_ = _by_solver("saved_mib")
    return bool((bytes_.max(axis=1) / bytes_.min(axis=1) < 1.01).all())


def _weighted_deblurring_loses() -> bool:
    rows = tidy_reference(SMALL).query("task == 'deblurring_colour(l1)'")
    return bool(len(rows)) and bool((rows["psnr_100"].fillna(rows["psnr_10"]) < rows["psnr"]).all())


def _certified_bounds_hold() -> bool:
    """Whether each bound of ``certified`` was at most its tolerance, and each error at most its bound."""
    rows = tidy_reference("quick-cpu").query("family == 'certified' and status == 'ok'")
    rtol = rows["solver"].str.extract(r"\((.*)\)")[0].astype(float)
    met = (rows["certified"] <= rtol) & (rows["hypergradient_error"] <= rows["certified"])
    return bool(len(rows)) and bool(met.all())


README, CHOOSING, PEERS = "README.md", "docs/choosing.md", "docs/peers.md"
LEARNED_PAGE = "docs/published.md"
QUOTES = (
    Quote("docs/physics.md", "The gain is above its interval on {} of {} tasks.", told_apart),
    Quote(README, "Images are {} in {}, on {} thread", _operators_settings),
    Quote(
        README,
        "the error on the deblurring is {} for deepinv's DEQ, {} with its Anderson acceleration, {} for torchdeq with "
        "Anderson, and {} with Broyden (",
        lambda: errors(
            TUNED,
            "deepinv_deq(100, 50)",
            "deepinv_anderson(100, 50)",
            "torchdeq_anderson(40, 40)",
            "torchdeq_broyden(40, 40)",
        ),
    ),
    Quote(
        CHOOSING,
        "have errors of {} to {} on the inpainting, and of {} to {} at L = 0.995.",
        _errors_of_other_tasks,
    ),
    Quote(CHOOSING, "cheapest settings within 1 % on all three tasks are `{}` and `{}`.", cheapest_advised),
    Quote(README, "(‖J‖ at the equilibria is {} to {})", _jacobian_norms),
    Quote(
        README,
        "the unrolled network has lost more than a decibel, or diverged, in {} of six rows",
        lambda: _losses_past_depth("restarted_jfb(10, 0)"),
    ),
    Quote(README, "the restarted one in {} row.", lambda: _losses_past_depth("restarted_jfb(10, 10)")),
    Quote(
        README,
        "takes {} to {} times as long. Measured on {} colour crops, {} test images, {} seed, {} training steps",
        _restarts_and_run,
    ),
    Quote(README, "checks the {} claims of the theory", lambda: [str(claim_count())]),
    Quote(README, "breaks the code in {} ways", lambda: [str(mutant_count())]),
    Quote(
        PEERS,
        "stops its Broyden at {} + {} whatever the budget",
        lambda: [f"{count:g}" for count in counts(TUNED, "torchdeq_broyden(40, 40)")],
    ),
    Quote(CHOOSING, "else **`{}`**", lambda: cheapest_advised()[:1]),
    Quote(
        CHOOSING,
        "**`{}`** or **`{}`**: the cheapest settings that were measured",
        lambda: cheapest_advised()[::-1],
    ),
    Quote(
        CHOOSING,
        "{} for 1 % at L = 0.980; at L = 0.995, {} layers leave {}, where `{}` takes {} products to {}.",
        _recorded_layers,
    ),
    Quote(CHOOSING, "it needed {} products to {}, Anderson {} to {}.", _nesterov_and_anderson),
    Quote(
        CHOOSING,
        "({} off after 20 further products on deblurring)",
        lambda: errors(TUNED, "implicit(anderson(0.0001, shared=True), shared(20))"),
    ),
    Quote(CHOOSING, "`deq(0.0001)` is within {} in {} products; ten layers are at {} to {}.", _dncnn),
    Quote(CHOOSING, "even `jfb(40)`, {} off, has a cosine of {}", _jfb_error_and_cosine),
    Quote(CHOOSING, "save {} to {} of the products", _warm_start_savings),
    Quote(CHOOSING, "and are {} behind on inpainting.", _unrolled_behind_best),
    Quote(
        CHOOSING,
        "`restarted_jfb(10, 10)` was {}, with `jfb(40)` {} above that of exact gradients, and with `deq(0.0001)` {} {}",
        _descent_losses,
    ),
    Quote(CHOOSING, "saved {} of the products of `certified(0.01)`", _schedule_savings),
    Quote(LEARNED_PAGE, "from it by {} at most.", published_references),
    Quote(LEARNED_PAGE, "one image moves by {}", largest_change_of_psnr),
    Quote(
        LEARNED_PAGE,
        "It misses 1 % on {} of the weight files, `estimated(0.01)` on {}",
        misses_of_the_estimates,
    ),
    Quote(
        README,
        "has 99 % of what it can gain after {} to {} products, depending on the task; with ten layers, ten restarts "
        "and Adam on forward–backward it takes {} to {},",
        headline,
    ),
)
"""Sentences with numbers."""
CLAIMS = (
    CheckedSentence(
        "docs/physics.md",
        "On single-coil MRI and super-resolution no reconstruction reaches the PSNR of the start.",
        start_is_best,
    ),
    CheckedSentence(
        LEARNED_PAGE,
        "takes fewer products, and leaves a smaller error, on each weight file",
        advised_beats_the_study,
    ),
    CheckedSentence(
        LEARNED_PAGE,
        "It takes fewer products than `estimated(0.01)` on each weight file",
        symmetric_takes_fewer_products,
    ),
    CheckedSentence(
        LEARNED_PAGE,
        "the mean of no weight file moves by 0.02 dB",
        mean_psnr_is_that_of_further_solves,
    ),
    CheckedSentence(
        README, "Seconds and bytes are linear in pixels, or less, from 64² to 1024²", _costs_grow_linearly
    ),
    CheckedSentence(README, "Both record 10 layers", _same_tape),
    CheckedSentence(
        README,
        "the deblurring loses PSNR past its training depth with every estimator",
        _weighted_deblurring_loses,
    ),
    CheckedSentence(
        CHOOSING, "wherever it was measured, its error was below its bound", _certified_bounds_hold
    ),
    CheckedSentence(README, "and on some task never gets there", every_task_is_learned),
)
"""Sentences that the records must bear out."""
