"""Gradient at the initial parameters: its error, the certificate, and the work of the training step."""

from __future__ import annotations

from .metric import Column, Metric, Table, Tolerance
from .readers import draw_errors, over_draws, reference_error

RESULTS = Table.RESULTS
ERROR = "hypergradient_error"
# A solver with a tolerance may stop an application or two earlier on another machine; fixed depths do not move.
COUNT = Tolerance(absolute=3.0, relative=0.03)


def _count(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}"


STEP = (
    Metric(
        "hypergradient_cosine",
        "Cosine of the angle between the solver's gradient and the reference.",
        title="cosine",
        format=".4f",
        columns={RESULTS: Column(9, hidden=True)},
        better="higher",
        tolerance=Tolerance(absolute=1e-3),
        benchopt="gradient_cosine",
    ),
    Metric("oracle_error", "Relative error of the reference gradient, at most.", read=reference_error),
    Metric(
        "certified",
        "Upper bound on the gradient error that a `certified(…)` solver reports; the largest over draws.",
        title="certified bound on gradient error",
        format=".1e",
        columns={RESULTS: Column(8, hidden=True)},
        better="lower",
        bold=False,
        benchopt="certified",
    ),
    Metric(
        "residual",
        "Residual ‖T(x) − x‖ / ‖T(x)‖ at the solution x of the solver.",
        title="residual",
        format=".1e",
        columns={RESULTS: Column(10, hidden=True)},
        better="lower",
        bold=False,
        tolerance=Tolerance(absolute=1e-7, relative=0.05),
    ),
    Metric(
        "applications",
        "Applications of T in a training step; one that is made on a part of the batch counts as that part.",
        title="applications",
        format=_count,
        columns={RESULTS: Column(11)},
        better="lower",
        bold=False,
        tolerance=COUNT,
        exact_at_fixed_depth=True,
        aspect="memory",
        benchopt="applications",
    ),
    Metric(
        "vjps",
        "Vector–Jacobian products in a training step, counted like the applications.",
        title="VJPs",
        format=_count,
        columns={RESULTS: Column(12)},
        better="lower",
        bold=False,
        tolerance=COUNT,
        exact_at_fixed_depth=True,
        aspect="memory",
        benchopt="vjps",
    ),
    Metric("evaluations", "Applications and vector–Jacobian products together."),
    Metric("recorded", "Applications that autograd records.", tolerance=Tolerance()),
    Metric("converged", "1 if every solve of the step met its tolerance, else 0."),
    Metric("contraction", "Bound L on the Lipschitz constant of T that is known before training."),
)
ERRORS = (
    Metric(
        ERROR,
        "Relative error of the solver's gradient at the initial parameters, the mean over seeds and draws of mask and "
        "noise; the reference is a float64 implicit gradient whose two residuals are below 1e-10.",
        title="gradient error",
        format=".1e",
        columns={RESULTS: Column(7)},
        better="lower",
        read=over_draws(),
        # Below 1e-6 an error is that of a stopping rule or of rounding, and moves with the order of sums.
        tolerance=Tolerance(absolute=1e-6, relative=0.05),
        aspect="quality",
        benchopt="value",
    ),
    Metric("hypergradient_error_worst", "The largest gradient error over draws.", read=over_draws(max)),
    Metric("hypergradient_error_least", "The least gradient error over draws.", read=over_draws(min)),
    Metric("draws", "Draws of mask and noise.", read=lambda values: len(draw_errors(values))),
    Metric(
        "oracle_basis",
        "Whether `oracle_error` is a proven bound (`certificate`) or an `estimate`.",
        read=lambda values: str(values.get("oracle_basis") or ""),
    ),
)
