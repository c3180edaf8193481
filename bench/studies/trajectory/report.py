"""The rows of ``bench.studies.trajectory.descent`` as a table, a figure, and files."""

# The stubs of pandas and seaborn know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false
from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import seaborn as sns
import torch
from matplotlib.figure import Figure

from solvers import Solver, ToleranceSchedule

from ...config.lookup import parse_user_solver
from ...measurement.hypergradient import NoReference
from ...report.figure_style import RC, facets, number_log, save_figure
from ...tasks import Task, build_problem
from ...tasks.images import Images, Layout
from ...utils.atomic_files import write_atomically
from ...utils.errors import UserError
from ...utils.json_values import finite
from ...utils.provenance import provenance
from ...utils.random_streams import stream_seed
from ..objective import objective_of
from .descent import DescentMethod, step_size, trace_rows

USUAL = ("certified(0.01)", "deq(1e-10)", "deq(1e-04)", "restarted_jfb(10, 10)", "jfb(40)")
"""Solvers that the schedule is compared with."""
WARM = ", warm"
"""Suffix of the label of a descent with warm starts."""
GAIN = 0.99
"""Fraction of the decrease of the DEQ trajectory's loss that a descent has to reach."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Settings of all rows.

    Attributes:
        task, crop, crops, seed: of the objective.
        eta: step size.
        measured: G = 1/η (see ``step_size``); nan if η was given.
        provenance: versions, device, commit.
    """

    task: str
    crop: int
    crops: int
    seed: int
    eta: float
    measured: float
    provenance: dict[str, object]


def pick_solvers(texts: Sequence[str] | None) -> list[Solver]:
    """The solvers with these labels, or ``USUAL``. Raises ``UserError`` for external solvers."""
    solvers: list[Solver] = []
    for text in texts or USUAL:
        solver = parse_user_solver(text).value
        if not isinstance(solver, Solver):
            raise UserError(
                f"{text} is an external solver: a trajectory needs solvers of eqgrad (python -m bench list solvers)"
            )
        solvers.append(solver)
    return solvers


def schedule_of(first: float, last: float) -> ToleranceSchedule:
    """The schedule from one relative error to another. Raises ``UserError``."""
    try:
        return ToleranceSchedule(first, last)
    except ValueError as error:
        raise UserError(f"--first and --last: {error}") from error


def descent_methods(
    solvers: Sequence[Solver], schedule: ToleranceSchedule, warm: bool
) -> list[DescentMethod]:
    """The first ``certified(…)`` with the schedule, then each solver; with ``warm``, then all with warm starts."""
    label = f"schedule {schedule.first:g} to {schedule.last:g}"
    scheduled = [DescentMethod(label, s, schedule) for s in solvers if schedule.tighten(s, []) is not s]
    cold = [*scheduled[:1], *(DescentMethod(solver.label, solver) for solver in solvers)]
    return cold + [replace(m, label=m.label + WARM, warm=True) for m in cold if warm]


def trajectory_study(
    task: Task,
    solvers: Sequence[Solver],
    schedule: ToleranceSchedule,
    images: Images,
    layout: Layout,
    seed: int,
    steps: int,
    eta: float | None = None,
    warm: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[pd.DataFrame, Setting]:
    """The rows of all descents on the training crops of a task, in float64 on the CPU, and their settings.

    All training crops are in one batch. The descents are those of ``descent_methods``, each of ``steps`` steps; ``eta``
    is their step size, by default that of ``step_size``. ``progress`` gets the label of each descent as it ends.

    Raises:
        UserError: each layer of the task has parameters of its own, or there is no reference gradient at some point.
    """
    if task.prior.layers:
        raise UserError(
            f"{task.label} has parameters of its own for each layer, so it has no equilibrium: choose another task"
        )
    torch.manual_seed(stream_seed(seed, "everything else"))
    problem = build_problem(task, images, layout, seed, dtype=torch.float64)
    F = objective_of(problem)
    measured = math.nan
    if eta is None:
        progress("the step size")
        try:
            eta, measured = step_size(F, steps)
        except NoReference as error:
            raise UserError(f"no reference gradient to find a step size by ({error}): give --eta") from error
    rows: list[dict[str, object]] = []
    for row in trace_rows(F, descent_methods(solvers, schedule, warm), eta, steps):
        if row["step"] == 0:
            progress(str(row["course"]))
        rows.append(row)
    origin = provenance(torch.device("cpu"))
    return pd.DataFrame(rows), Setting(task.label, layout.crop, layout.train, seed, eta, measured, origin)


def descent_summary(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each descent, with values of the last step except where noted.

    Columns: ``course``; ``products`` in all, and ``reaching``, until the loss has fallen by 99 % of the decrease on
    the DEQ trajectory (nan if never); ``behind``, the loss relative to the DEQ trajectory's; ``relative`` and
    ``actual``, the largest relative error of a gradient, certified and by the reference; ``distance, bound_convex,
    bound_measured``; ``secant``, the largest ϱ; ``above_convex`` and ``above_measured``, the number of distances above
    the bound; ``rigorous``.
    """
    lines: list[dict[str, object]] = []
    for course, part in rows.groupby("course", sort=False):
        last, start = part.iloc[-1], part.iloc[0]
        goal = start.loss - GAIN * (start.exact_loss - last.exact_loss)
        work = part.loc[part["loss"] <= goal, "work"]
        lines.append(
            {
                "course": course,
                "products": int(last.work),
                "reaching": float(work.iloc[0]) if len(work) else math.nan,
                "behind": last.loss / last.exact_loss - 1,
                "relative": part["relative"].max(),
                "actual": (part["actual"] / part["slope"]).max(),
                **{name: last[name] for name in ("distance", "bound_convex", "bound_measured")},
                "secant": part["secant"].max(),
                "above_convex": int((part["distance"] > part["bound_convex"]).sum()),
                "above_measured": int((part["distance"] > part["bound_measured"]).sum()),
                "rigorous": bool(last.rigorous),
            }
        )
    return pd.DataFrame(lines)


TITLES = {
    "course": "descent",
    "products": "applications + VJPs",
    "reaching": "until 99 %",
    "behind": "loss, behind DEQ's",
    "relative": "error ≤ (certified)",
    "actual": "error (reference)",
    "distance": "distance",
    "bound_convex": "bound, ϱ = 1",
    "bound_measured": "bound, ϱ measured",
    "secant": "largest ϱ",
}
FORMATS = {"reaching": ".0f", "behind": "+.2%", "secant": ".2f"}
"""Of numbers in columns of the table; elsewhere ``.1e``."""


def trajectory_markdown(rows: pd.DataFrame, setting: Setting) -> str:
    """The summary with its settings and a legend, in Markdown."""
    ends = descent_summary(rows)
    text = ends[list(TITLES)].copy()
    for name in text.columns.drop(["course", "products"]):
        text[name] = [_text(value, name) for value in ends[name]]
    table = text.rename(columns=TITLES).to_markdown(index=False, disable_numparse=True)
    steps, curvature = int(rows["step"].max()), float(rows["curvature"].max())
    origin = "given" if math.isnan(setting.measured) else f"1/G, with G = {setting.measured:.4g} measured"
    kind = "rigorous" if ends["rigorous"].all() else "not all rigorous: see the rows"
    above = f"{ends['above_convex'].sum()} with ϱ = 1, {ends['above_measured'].sum()} with ϱ measured"
    crops = f"{setting.crops} crop" + "s" * (setting.crops > 1)
    return (
        f"# Gradient descent on {setting.task}, {crops} of {setting.crop}², seed {setting.seed}\n\n"
        f"{steps} steps, η = {setting.eta:.4g} ({origin}); η times the largest curvature met on the way is"
        f" {setting.eta * curvature:.2f}. Certificates: {kind}.\n\n"
        f"Of {(rows['step'] > 0).sum()} distances, above their bound: {above}.\n\n{table}\n{_LEGEND}"
    )


def _text(value: float, name: str) -> str:
    if math.isnan(value):
        return "—"
    return f"{value:{FORMATS.get(name, '.1e')}}"


_LEGEND = """
---
*until 99 %*: applications + VJPs until the loss is down by 99 % of what the DEQ trajectory gains in all its steps.
*error*: the largest relative error of a gradient on the way. *distance*: of the last θ to that of the DEQ trajectory,
whose gradients are exact to 1e-10. *bound*: `η Σ ϱ^(T−1−t) e_t` with certified errors e_t. With ϱ = 1 it assumes that F
is convex and η ≤ 2/G; with the ϱ measured at each pair of points it holds if the certificates do, and is a check, no
prediction. A largest ϱ above 1 says that F is not convex there, or that η is too large. Errors of solvers without a
certificate of their own are audited, at a cost that is not counted. *warm*: each solve starts where the last one ended.
"""


def trajectory_figure(rows: pd.DataFrame) -> Figure:
    """Distances and bounds against steps, an axis for each cold descent; loss against products."""
    cold = list(rows.loc[~rows["warm"], "course"].unique())
    colours = dict(zip(cold, sns.color_palette("colorblind", len(cold)), strict=True))
    figure, axes = facets(len(cold) + 1, 3.4)
    lines = (
        ("bound_convex", "--", "bound, ϱ = 1"),
        ("bound_measured", ":", "bound, ϱ measured"),
        ("distance", "-", "distance to the DEQ trajectory"),
    )
    steps = rows[rows["step"] > 0]
    values = steps[[name for name, _, _ in lines]].to_numpy()
    low, high = values[values > 0].min(), values.max()
    for ax, course in zip(axes[:-1], cold, strict=True):
        part = steps[steps["course"] == course]
        for name, dashes, label in lines:
            ax.plot(part["step"], part[name], dashes, color=colours[course], label=label)
        ax.set(yscale="log", ylim=(low / 3, high * 3), title=course, xlabel="step", ylabel="‖θ − θ_DEQ‖")
        ax.grid(alpha=0.3)
    axes[0].legend(frameon=False, fontsize=7)
    ax = axes[-1]
    for (course, warm), part in steps.groupby(["course", "warm"], sort=False):
        style = {"color": colours[course.removesuffix(WARM)], "ls": "--" if warm else "-", "lw": 1.2}
        ax.plot(part["work"], part["loss"], label=course, **style)
    ax.set(
        xscale="log", yscale="log", xlabel="applications + VJPs", ylabel="loss", title="loss against products"
    )
    number_log(ax.yaxis)
    ax.grid(alpha=0.3)
    handles, labels = ax.get_legend_handles_labels()
    figure.tight_layout()
    figure.legend(handles, labels, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure


def write_trajectory(rows: pd.DataFrame, setting: Setting, out: Path) -> list[Path]:
    """Write ``rows.csv``, ``rows.json`` with the settings, ``trajectory.md`` and the figure into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    table = finite(asdict(setting) | {"rows": rows.to_dict("records")})
    texts = {
        "rows.csv": rows.to_csv(index=False),
        "rows.json": json.dumps(table, ensure_ascii=False, allow_nan=False),
        "trajectory.md": trajectory_markdown(rows, setting),
    }
    for name, text in texts.items():
        write_atomically(out / name, text)
    with mpl.rc_context(RC):
        mpl.use("agg")
        return [*(out / name for name in texts), *save_figure(trajectory_figure(rows), "trajectory", out)]
