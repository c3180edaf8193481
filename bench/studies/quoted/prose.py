"""The sentences of README and docs that say something of the references."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
from __future__ import annotations

from collections.abc import Sequence

from ...analysis.cost_at_error import cost_at_error, percent
from .blocks import NETWORKS, TASKS, TRAINED, TUNED, cheapest_advised, depth, products
from .quote import CheckedSentence, Quote
from .references import (
    PARETO,
    SMALL,
    claims,
    error,
    looked_rows,
    mutants,
    records,
    reference_csv,
    run_setting,
    tidy_reference,
    word,
)


def _as_they_come() -> list[str]:
    calls = (
        "deepinv_deq(100, 50)",
        "deepinv_anderson(100, 50)",
        "torchdeq_anderson(40, 40)",
        "torchdeq_broyden(40, 40)",
    )
    return [percent(error(PARETO, TUNED, call)) for call in calls]


def _elsewhere() -> list[str]:
    """The least and the largest error, on the other tasks, of the settings that are within 1 % on the deblurring."""
    found = cost_at_error(tidy_reference(PARETO), TUNED)
    others = [found.loc[found["heading"] == task, "error"] for task in TASKS[1:]]
    return [percent(value) for each in others for value in (each.min(), each.max())]


def _small() -> list[str]:
    images = run_setting(SMALL, "images", "test")
    crop = run_setting(SMALL, "images", "crop")
    seeds = tidy_reference(SMALL)["seed"].nunique()
    steps = {
        r.settings["training"]["steps"] for r in records(SMALL) if r.kind == "quality" and "drunet" in r.task
    }
    (steps_,) = steps
    assert isinstance(images, int)
    return [f"{crop}×{crop}", word(images), word(seeds), str(steps_)]


def _longer() -> list[str]:
    """How many times as long a step with ten restarts is as one of ten unrolled layers."""
    found = _of_networks().pivot_table(index="heading", columns="solver", values="step_ms")
    ratios = found["restarted_jfb(10, 10)"] / found["restarted_jfb(10, 0)"]
    return [f"{ratios.min():.0f}", f"{ratios.max():.0f}"]


def _of_networks():
    found = tidy_reference(SMALL)
    return found[found["task"].str.contains("drunet") & found["solver"].isin(TRAINED.values())]


def _same_tape() -> bool:
    found = _of_networks().pivot_table(index="heading", columns="solver", values="saved_mib")
    return bool((found.max(axis=1) / found.min(axis=1) < 1.01).all())


def _norms() -> list[str]:
    found = tidy_reference(SMALL).query("task.str.contains('drunet')")["jacobian_norm"]
    return [f"{found.min():.2f}", f"{found.max():.2f}"]


def _falls(solver: str) -> int:
    """Networks whose PSNR falls by a decibel and more, or diverges, at ten times the depth."""
    count = 0
    for call in NETWORKS.values():
        for learned in ("", "(learn_weights=True)"):
            before, after = depth(call.format(learned), solver).split(" → ")
            count += after == "diverged" or float(after.split(" ")[0]) < float(before) - 1
    return count


def _weighted_deblurring_loses() -> bool:
    found = tidy_reference(SMALL).query("task == 'deblurring_colour(l1)'")
    return bool(len(found)) and bool((found["psnr_100"].fillna(found["psnr_10"]) < found["psnr"]).all())


def _linear() -> bool:
    found = reference_csv("growth-cpu/tables/growth.csv").query("against == 'pixels'")
    ends = {f"{size}" for size in ("64", "1024")}
    return bool((found["exponent"] <= 1.05).all()) and any(
        ends <= {size.strip() for size in str(sizes).split(",")} for sizes in found["sizes"]
    )


def _promises() -> bool:
    """What ``certified`` promised was true, and within what was asked, wherever it was measured."""
    found = tidy_reference("quick-cpu").query("family == 'certified' and status == 'ok'")
    asked = found["solver"].str.extract(r"\((.*)\)")[0].astype(float)
    return bool(len(found)) and bool(
        ((found["certified"] <= asked) & (found["hypergradient_error"] <= found["certified"])).all()
    )


def _layers() -> list[str]:
    """Recorded layers for 1 % on the deblurring, what the most leave at L = 0.995, and what a tolerance takes there."""
    found = cost_at_error(tidy_reference(PARETO), TUNED)
    layers = found[(found["heading"] == TUNED) & (found["family"] == "restarted_jfb")]["solver"].iloc[0]
    most, (_, chosen) = "restarted_jfb(180, 1)", cheapest_advised()
    there = found_at(TASKS[2], chosen)
    return [
        layers.partition("(")[2].split(",")[0],
        "180",
        percent(error(PARETO, TASKS[2], most)),
        chosen,
        *there,
    ]


def found_at(heading: str, solver: str) -> list[str]:
    """Products and error of a solver."""
    row = tidy_reference(PARETO).query("heading == @heading and solver == @solver").iloc[0]
    return [f"{row['applications'] + row['vjps']:.0f}", percent(error(PARETO, heading, solver))]


def _nesterov() -> list[str]:
    calls = ("implicit(nesterov(0.0001), gmres(0.003))", "implicit(anderson(0.0001), gmres(0.003))")
    return [value for call in calls for value in found_at("inpainting(huber)", call)]


def _shared() -> list[str]:
    return [percent(error(PARETO, TUNED, "implicit(anderson(0.0001, shared=True), shared(20))"))]


def _dncnn() -> list[str]:
    deq = found_at("deblurring(dncnn)", "deq(0.0001)")
    others = [
        percent(error(PARETO, "deblurring(dncnn)", call))
        for call in ("restarted_jfb(10, 4)", "restarted_jfb(10, 1)")
    ]
    return [deq[1], deq[0], *others]


def _crude() -> list[str]:
    found = (
        tidy_reference("learning-cpu").query("solver == 'jfb(40)' and heading == 'deblurring(huber)'").iloc[0]
    )
    return [percent(found["hypergradient_error"]), f"{found['hypergradient_cosine']:.2f}"]


def _descents() -> list[str]:
    """How far the losses of a descent end from that of exact gradients, and what a schedule saves."""
    ends = reference_csv("trajectory-cpu/rows.csv").groupby("course", sort=False).tail(1).set_index("course")
    exact = ends.loc["deq(1e-10)", "loss"]

    def off(course: str) -> float:
        return ends.loc[course, "loss"] / exact - 1

    saved = 1 - ends.loc["schedule 0.3 to 0.01", "work"] / ends.loc["certified(0.01)", "work"]
    return [
        f"{off('restarted_jfb(10, 10)'):.0%}".replace("%", " %"),
        f"{off('jfb(40)'):.0%}".replace("%", " %"),
        f"{abs(off('deq(0.0001)')):.0%}".replace("%", " %"),
        "below" if off("deq(0.0001)") < 0 else "above",
        f"{100 * saved:.0f} %",
    ]


def _saving() -> list[str]:
    """The share of products that warm starts save, the least and the largest of the solvers with a tolerance."""
    shares = []
    for task in ("deblurring(huber)", "inpainting(huber)"):
        for solver in (
            "implicit(anderson(0.0005), gmres(0.02))",
            "implicit(anderson(0.0001), gmres(0.003))",
            "deq(0.001)",
        ):
            shares.append(1 - float(products(f"{task}, warm", solver)) / float(products(task, solver)))
    return [f"{100 * min(shares):.0f} %", f"{100 * max(shares):.0f} %"]


def _first_within() -> list[str]:
    """PSNR of ten unrolled layers behind the best of the inpainting, at the last look."""
    ends = (
        looked_rows("learning-cpu").query("heading == 'inpainting(huber)'").groupby("solver")["psnr"].last()
    )
    return [f"{ends.max() - ends['unrolled(10)']:.1f} dB"]


def settings_of_pareto() -> Sequence[str]:
    """Size, dtype and threads of the weighted tasks of the pareto reference."""
    chosen = [r for r in records(PARETO) if r.kind == "quality" and r.task == TUNED]
    crops = {r.settings["images"]["crop"] for r in chosen}
    dtypes, threads = ({r.settings[name] for r in chosen} for name in ("dtype", "threads"))
    (crop,), (dtype,), (thread,) = crops, dtypes, threads
    return [f"{crop}×{crop}", str(dtype), word(thread)]


def _broyden() -> list[str]:
    row = tidy_reference(PARETO).query("heading == @TUNED and solver == 'torchdeq_broyden(40, 40)'").iloc[0]
    return [f"{row['applications']:g}", f"{row['vjps']:g}"]


README, CHOOSING, PEERS = "README.md", "docs/choosing.md", "docs/peers.md"
QUOTES = (
    Quote(README, "of the exact one; {}, {}, {} thread", settings_of_pareto),
    Quote(
        README,
        "deepinv's DEQ is {} off on the deblurring, with its Anderson acceleration {}, torchdeq with Anderson {}, "
        "with Broyden {} (",
        _as_they_come,
    ),
    Quote(README, "are {} to {} off on the inpainting, and {} to {} at L = 0.995.", _elsewhere),
    Quote(README, "within 1 % on all of these tasks: `{}` and `{}`.", cheapest_advised),
    Quote(README, "(‖J‖ at the equilibria is {} to {})", _norms),
    Quote(
        README,
        "of unrolling has lost more than a decibel, or diverged, in {} of six rows",
        lambda: [word(_falls("restarted_jfb(10, 0)"))],
    ),
    Quote(README, "that of restarts in {}.", lambda: [word(_falls("restarted_jfb(10, 10)"))]),
    Quote(
        README,
        "the step {} to {} times as long. {} colour crops, {} test images, {} seed, {} steps",
        lambda: _longer() + _small(),
    ),
    Quote(README, "runs the {} claims of the theory", lambda: [str(claims())]),
    Quote(README, "breaks the code in {} ways", lambda: [str(mutants())]),
    Quote(PEERS, "stops its Broyden at {} + {} whatever the budget", _broyden),
    Quote(CHOOSING, "else **`{}`**", lambda: cheapest_advised()[:1]),
    Quote(
        CHOOSING,
        "**`{}`** or **`{}`**: the cheapest settings that were measured",
        lambda: cheapest_advised()[::-1],
    ),
    Quote(
        CHOOSING,
        "{} for 1 % at L = 0.980; at L = 0.995, {} layers leave {}, where `{}` takes {} products to {}.",
        _layers,
    ),
    Quote(CHOOSING, "it needed {} products to {}, Anderson {} to {}.", _nesterov),
    Quote(CHOOSING, "({} off after 20 further products on deblurring)", _shared),
    Quote(CHOOSING, "`deq(0.0001)` is within {} in {} products; ten layers are at {} to {}.", _dncnn),
    Quote(CHOOSING, "even `jfb(40)`, {} off, has a cosine of {}", _crude),
    Quote(CHOOSING, "save {} to {} of the products", _saving),
    Quote(CHOOSING, "and {} behind on inpainting", _first_within),
    Quote(
        CHOOSING,
        "`restarted_jfb(10, 10)` was {}, with `jfb(40)` {} above that of exact gradients, and with `deq(0.0001)` {} {}",
        lambda: _descents()[:4],
    ),
    Quote(CHOOSING, "saved {} of the products of `certified(0.01)`", lambda: _descents()[4:]),
)
"""Sentences with numbers."""
CLAIMS = (
    CheckedSentence(README, "Seconds and bytes are linear in pixels, or less, from 64² to 1024²", _linear),
    CheckedSentence(README, "The tape is that of 10 layers in both", _same_tape),
    CheckedSentence(
        README, "there deblurring loses past its depth whatever the estimator", _weighted_deblurring_loses
    ),
    CheckedSentence(CHOOSING, "wherever it was measured, its error was below what it promised", _promises),
)
"""Sentences that records must bear out."""
