"""The rows of ``bench.studies.trajectory.descent`` for people: a table, a figure, and files."""

# The stubs of pandas and seaborn know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false
from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import seaborn as sns
import torch
from matplotlib.figure import Figure

from solvers import Solver, ToleranceSchedule

from ...config.lookup import parse_user_solver
from ...measurement.hypergradient import NoReference
from ...records.store import write_atomically
from ...report.figure_style import RC, facets, number_log, save_figure
from ...tasks import Task, build_problem
from ...tasks.images import Images, Layout
from ...utils.errors import UserError
from ...utils.json_values import finite
from ...utils.provenance import provenance
from ...utils.random_streams import stream_seed
from .descent import DescentMethod, objective, step_size, trace_rows

USUAL = ("certified(0.01)", "deq(1e-10)", "deq(1e-04)", "restarted_jfb(10, 10)", "jfb(40)")
"""What the schedule is held against."""
WARM = ", warm"
"""Behind the label of a descent with warm starts."""
SHARE = 0.99
"""Of what the DEQ trajectory gains: how far down a loss is that counts as having got there."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What the rows belong to.

    Attributes:
        task, crop, crops, seed: the objective.
        eta: the step size.
        measured: G, of which η is the inverse (see ``step_size``); nan where η was given.
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
    """The solvers that ``texts`` call for, or the usual ones. Raises ``UserError``."""
    found: list[Solver] = []
    for text in texts or USUAL:
        solver = parse_user_solver(text).value
        if not isinstance(solver, Solver):
            raise UserError(
                f"{text} is a peer: a trajectory takes solvers of ours (python -m bench list solvers)"
            )
        found.append(solver)
    return found


def schedule_of(first: float, last: float) -> ToleranceSchedule:
    """The schedule between two relative errors. Raises ``UserError``."""
    try:
        return ToleranceSchedule(first, last)
    except ValueError as error:
        raise UserError(f"--first and --last: {error}") from error


def courses(solvers: Sequence[Solver], schedule: ToleranceSchedule, warm: bool) -> list[DescentMethod]:
    """A descent for each solver, and before them the first ``certified(…)`` with the schedule; then all of it warm."""
    said = f"schedule {schedule.first:g} to {schedule.last:g}"
    scheduled = [DescentMethod(said, s, schedule) for s in solvers if schedule.tighten(s, []) is not s]
    cold = [*scheduled[:1], *(DescentMethod(solver.label, solver) for solver in solvers)]
    return cold + [replace(c, label=c.label + WARM, warm=True) for c in cold if warm]


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
    """The rows of all descents on the training crops of a task, in float64 on the CPU, and what they belong to.

    Args:
        task: without layers of its own.
        solvers: each is a descent, and the first that is ``certified(…)`` another one with the schedule.
        schedule: of the tolerance.
        images, layout, seed: the objective; its one batch is all training crops.
        steps: of each descent.
        eta: the step size; by default that of ``step_size``.
        warm: add every descent with warm starts.
        progress: told what is being done.

    Raises:
        UserError: the task has layers of its own, or there is no reference gradient along the way.
    """
    if task.prior.layers:
        raise UserError(
            f"{task.label} has layers of its own, and no equilibrium to descend at: choose another"
        )
    torch.manual_seed(stream_seed(seed, "everything else"))
    problem = build_problem(task, images, layout, seed, dtype=torch.float64)
    F = objective(problem, problem.train)
    measured = math.nan
    if eta is None:
        progress("the step size")
        try:
            eta, measured = step_size(F, steps)
        except NoReference as error:
            raise UserError(f"no reference gradient to find a step size by ({error}): give --eta") from error
    found: list[dict[str, object]] = []
    for row in trace_rows(F, courses(solvers, schedule, warm), eta, steps):
        if row["step"] == 0:
            progress(str(row["course"]))
        found.append(row)
    where = provenance(torch.device("cpu"))
    setting = Setting(task.label, layout.crop, layout.train, seed, eta, measured, where)
    return pd.DataFrame(found), setting


def descent_summary(found: pd.DataFrame) -> pd.DataFrame:
    """A row for each course, of the last step unless it says otherwise.

    Columns: ``course``; ``products`` in all, and ``reaching``, until the loss is down by 99 % of what the DEQ
    trajectory gains (nan if never); ``behind``, the loss relative to the DEQ trajectory's; ``relative`` and ``actual``,
    the largest relative error of a gradient, certified and by the reference; ``distance, bound_convex,
    bound_measured``; ``secant``, the largest ϱ; ``above_convex`` and ``above_measured``, steps with a distance above
    the bound; ``rigorous``.
    """
    lines: list[dict[str, object]] = []
    for course, part in found.groupby("course", sort=False):
        last, start = part.iloc[-1], part.iloc[0]
        goal = start.loss - SHARE * (start.exact_loss - last.exact_loss)
        there = part.loc[part["loss"] <= goal, "work"]
        lines.append(
            {
                "course": course,
                "products": int(last.work),
                "reaching": float(there.iloc[0]) if len(there) else math.nan,
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


def trajectory_markdown(found: pd.DataFrame, setting: Setting) -> str:
    """The summary with what it means, in Markdown."""
    ends = descent_summary(found)
    shown = ends[list(TITLES)].copy()
    for name in shown.columns.drop(["course", "products"]):
        shown[name] = [_text(value, name) for value in ends[name]]
    text = shown.rename(columns=TITLES).to_markdown(index=False, disable_numparse=True)
    steps, bend = int(found["step"].max()), float(found["curvature"].max())
    how = "given" if math.isnan(setting.measured) else f"1/G, with G = {setting.measured:.4g} measured"
    kind = "rigorous" if ends["rigorous"].all() else "not all rigorous: see the rows"
    which = {"above_convex": "ϱ = 1", "above_measured": "ϱ measured"}
    above = ", ".join(f"{int(ends[name].sum())} with {words}" for name, words in which.items())
    many = f"{setting.crops} crop" + "s" * (setting.crops > 1)
    lines = (
        f"# Gradient descent on {setting.task}, {many} of {setting.crop}², seed {setting.seed}",
        f"{steps} steps, η = {setting.eta:.4g} ({how}); η times the largest curvature met on the way is"
        f" {setting.eta * bend:.2f}. Certificates: {kind}.",
        f"Of {(found['step'] > 0).sum()} distances, above their bound: {above}.",
        text,
        _LEGEND.strip(),
    )
    return "\n\n".join(lines) + "\n"


def _text(value: float, name: str) -> str:
    if math.isnan(value):
        return "—"
    if name == "reaching":
        return f"{value:.0f}"
    return f"{value:+.2%}" if name == "behind" else f"{value:.2f}" if name == "secant" else f"{value:.1e}"


_LEGEND = """
---
*until 99 %*: applications + VJPs until the loss is down by 99 % of what the DEQ trajectory gains in all its steps.
*error*: the largest relative error of a gradient on the way. *distance*: of the last θ to that of the DEQ trajectory,
whose gradients are exact to 1e-10. *bound*: `η Σ ϱ^(T−1−t) e_t` with certified errors e_t. With ϱ = 1 it assumes that F
is convex and η ≤ 2/G; with the ϱ measured at each pair of points it holds if the certificates do, and is a check, no
prediction. A largest ϱ above 1 says that F is not convex there, or that η is too large. Errors of solvers without a
certificate of their own are audited, at a cost that is not counted. *warm*: each solve starts where the last one ended.
"""


def figure(found: pd.DataFrame) -> Figure:
    """Distances and bounds against steps, an axis for each descent from cold starts; loss against products."""
    cold = list(found.loc[~found["warm"], "course"].unique())
    colours = dict(zip(cold, sns.color_palette("colorblind", len(cold)), strict=True))
    drawn, axes = facets(len(cold) + 1, 3.4)
    kinds = (
        ("bound_convex", "--", "bound, ϱ = 1"),
        ("bound_measured", ":", "bound, ϱ measured"),
        ("distance", "-", "distance to the DEQ trajectory"),
    )
    steps = found[found["step"] > 0]
    values = steps[[name for name, _, _ in kinds]].to_numpy()
    low, high = values[values > 0].min(), values.max()
    for ax, course in zip(axes[:-1], cold, strict=True):
        part = steps[steps["course"] == course]
        for name, dashes, label in kinds:
            ax.plot(part["step"], part[name], dashes, color=colours[course], label=label)
        ax.set(yscale="log", ylim=(low / 3, high * 3), title=course, xlabel="step", ylabel="‖θ − θ_DEQ‖")
        ax.grid(alpha=0.3)
    axes[0].legend(frameon=False, fontsize=7)
    ax = axes[-1]
    for (course, warm), part in found[found["step"] > 0].groupby(["course", "warm"], sort=False):
        look = {"color": colours[course.removesuffix(WARM)], "ls": "--" if warm else "-", "lw": 1.2}
        ax.plot(part["work"], part["loss"], label=course, **look)
    ax.set(
        xscale="log", yscale="log", xlabel="applications + VJPs", ylabel="loss", title="loss against products"
    )
    number_log(ax.yaxis)
    ax.grid(alpha=0.3)
    handles, labels = ax.get_legend_handles_labels()
    drawn.tight_layout()
    drawn.legend(handles, labels, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return drawn


def write_trajectory(found: pd.DataFrame, setting: Setting, out: Path) -> list[Path]:
    """Write ``rows.csv``, ``rows.json`` with the setting, ``trajectory.md`` and the figure into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    names = {name: getattr(setting, name) for name in Setting.__slots__}
    raw = json.dumps(finite(names | {"rows": found.to_dict("records")}), ensure_ascii=False, allow_nan=False)
    texts = {
        "rows.csv": found.to_csv(index=False),
        "rows.json": raw,
        "trajectory.md": trajectory_markdown(found, setting),
    }
    for name, text in texts.items():
        write_atomically(out / name, text)
    with mpl.rc_context(RC):
        mpl.use("agg")
        return [*(out / name for name in texts), *save_figure(figure(found), "trajectory", out)]
