"""Every measured quantity of a cell: whatever ``bench.measurement`` stores becomes a column by one entry here."""

from __future__ import annotations

import math
from statistics import median

from .jacobian_verdict import verdict
from .metric import Column, Metric, Table, Tolerance
from .record_values import (
    draw_errors,
    image_array,
    interquartile_range,
    mebibytes,
    over_draws,
    psnr_at,
    reference_error,
    timing,
)

ERROR = "hypergradient_error"
AT_EQUILIBRIUM = "equilibrium_residual"
DECIBELS, SSIM = Tolerance(absolute=0.05), Tolerance(absolute=0.005)
# A solver with a tolerance may stop an application or two earlier on another machine; fixed depths do not move.
COUNT = Tolerance(absolute=3.0, relative=0.03)
# Below 1e-6 an error is that of a stopping rule or of rounding, and moves with the order of sums.
GRADIENT = Tolerance(absolute=1e-6, relative=0.05)
# The power iteration may stop short of a cluster of eigenvalues.
NORM = Tolerance(absolute=0.002, relative=0.02)


def _count(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}"


def _psnr(value: float) -> str:
    return "diverged" if value == -math.inf else f"{value:.2f}"


def _yes_or_no(share: float) -> str:
    return "no" if share == 0 else "yes" if share == 1 else "on some seeds"


# fmt: off
METRICS: tuple[Metric, ...] = (
    # Images
    Metric("psnr", "Mean PSNR of the test images, reconstructed at the depth that was trained.", "PSNR", "dB", ".2f",
           results=Column(1), depth=Column(4, "PSNR as trained (dB)"), better="higher", paired=True,
           images="psnr_trained", tolerance=DECIBELS, aspect="quality", benchopt="psnr"),
    Metric("psnr_equilibrium", "Mean PSNR of the test images at the equilibrium of the learned operator; missing if no "
           "equilibrium was found, that is, where the residual is above ten times the tolerance of the profile.",
           "PSNR at eq.", "dB", ".2f",
           results=Column(2), depth=Column(7, "at eq."), better="higher", paired=True,
           images="psnr_equilibrium", equilibrium=AT_EQUILIBRIUM, tolerance=DECIBELS, aspect="quality",
           benchopt="psnr_equilibrium"),
    Metric("psnr_measurement", "Mean PSNR of the measurements themselves, or of the start where they are no images.",
           unit="dB", images="psnr_measurement"),
    Metric("nrmse", "Mean of ‖x − truth‖ / ‖truth‖ over the test images at the trained depth, phase of complex "
           "images included.", images="nrmse_trained"),
    Metric("nrmse_equilibrium", "The same at the equilibrium.", images="nrmse_equilibrium", equilibrium=AT_EQUILIBRIUM),
    Metric("ssim", "Mean SSIM of the test images at the trained depth.", "SSIM", format=".3f",
           results=Column(5, hidden=True), better="higher", paired=True,
           images="ssim_trained", tolerance=SSIM, aspect="quality", benchopt="ssim"),
    Metric("ssim_equilibrium", "Mean SSIM of the test images at the equilibrium.", "SSIM at eq.", format=".3f",
           results=Column(6, hidden=True), better="higher", paired=True,
           images="ssim_equilibrium", equilibrium=AT_EQUILIBRIUM, tolerance=SSIM, aspect="quality",
           benchopt="ssim_equilibrium"),
    Metric("psnr_validation", "Mean PSNR of the validation images at the trained depth.", unit="dB",
           images="psnr_validation_trained"),
    Metric("psnr_validation_equilibrium", "Mean PSNR at the equilibrium of the validation images, which neither train "
           "nor test.", "validation PSNR at eq.", "dB", ".2f",
           results=Column(4), better="higher", paired=True,
           images="psnr_validation_equilibrium", equilibrium="validation_equilibrium_residual"),
    # Gradient at the initial parameters, and the work of the training step
    Metric("hypergradient_cosine", "Cosine of the angle between the solver's gradient and the reference.", "cosine",
           format=".4f", results=Column(9, hidden=True), better="higher", tolerance=Tolerance(absolute=1e-3),
           benchopt="gradient_cosine"),
    Metric("oracle_error", "Relative error of the reference gradient, at most.", read=reference_error),
    Metric("certified", "Upper bound on the gradient error that a `certified(…)` solver reports; the largest over "
           "draws.", "certified bound on gradient error", format=".1e", results=Column(8, hidden=True),
           better="lower", bold=False, benchopt="certified"),
    Metric("residual", "Residual ‖T(x) − x‖ / ‖T(x)‖ at the solution x of the solver.", "residual", format=".1e",
           results=Column(10, hidden=True), better="lower", bold=False,
           tolerance=Tolerance(absolute=1e-7, relative=0.05)),
    Metric("applications", "Applications of T in a training step; one that is made on a part of the batch counts as "
           "that part.", "applications", format=_count, results=Column(11), better="lower", bold=False,
           tolerance=COUNT, exact_at_fixed_depth=True, aspect="memory", benchopt="applications"),
    Metric("vjps", "Vector–Jacobian products in a training step, counted like the applications.", "VJPs", format=_count,
           results=Column(12), better="lower", bold=False,
           tolerance=COUNT, exact_at_fixed_depth=True, aspect="memory", benchopt="vjps"),
    Metric("evaluations", "Applications and vector–Jacobian products together."),
    Metric("recorded", "Applications that autograd records.", tolerance=Tolerance()),
    Metric("converged", "1 if every solve of the step met its tolerance, else 0."),
    Metric("contraction", "Bound L on the Lipschitz constant of T that is known before training."),
    Metric("spectrum_largest", "Bound on ‖A‖² that L follows from; an estimate where L is missing."),
    # Equilibrium of the learned operator
    Metric("jacobian_norm", "Lipschitz constant L = ‖J‖ measured at the equilibrium by power iteration on JᵀJ, an "
           "estimate from below; the theory applies if it is below 1.", "T at its equilibrium", format=verdict,
           depth=Column(1), over_seeds="max", words=True, tolerance=NORM),
    Metric("jacobian_norm_residual", "Relative residual of the power iteration for ‖J‖.", "± rel.", format=".1e",
           depth=Column(2, hidden=True), over_seeds="max", words=True),
    Metric("stalls", "Whether the residual shrinks by less than half from 10 to 100 times the trained depth.",
           "residual stalls", format=_yes_or_no, depth=Column(3), words=True),
    Metric("equilibrium_residual", "Residual ‖T(x) − x‖ / ‖T(x)‖ where Anderson acceleration ended, or plain iteration "
           "if its residual is smaller; the largest over the test images.", "residual there", format=".1e",
           depth=Column(8, hidden=True)),
    Metric("equilibrium_applications", "Applications that Anderson acceleration made to find the equilibrium."),
    Metric("equilibrium_converged", "1 if the residual met the tolerance of the profile, else 0."),
    Metric("equilibrium_stays", "Whether plain iteration stays at the equilibrium when it starts there.",
           "plain iteration stays", format=_yes_or_no, depth=Column(9), words=True),
    Metric("equilibrium_plain_residual", "Residual where plain iteration from the equilibrium ends."),
    Metric("equilibrium_plain_psnr", "Mean PSNR of the test images where plain iteration from the equilibrium ends.",
           unit="dB"),
    Metric("training_loss_equilibrium", "Training loss at the equilibrium of the learned operator: what every solver "
           "minimises, so that the page ranks trained operators by it.", "training loss at eq.",
           results=Column(3), better="lower", paired=True, equilibrium="training_equilibrium_residual"),
    Metric("panel_equilibrium_converged", "1 if the residual of the image in the figures met the tolerance, else 0."),
    # Errors of the gradient
    Metric(ERROR, "Relative error of the solver's gradient at the initial parameters, the mean over seeds and draws of "
           "mask and noise; the reference is a float64 implicit gradient whose two residuals are below 1e-10.",
           "gradient error", format=".1e", results=Column(7), better="lower", read=over_draws(),
           tolerance=GRADIENT, aspect="quality", benchopt="value"),
    Metric("hypergradient_error_worst", "The largest gradient error over draws.", read=over_draws(max)),
    Metric("hypergradient_error_least", "The least gradient error over draws.", read=over_draws(min)),
    Metric("draws", "Draws of mask and noise.", read=lambda values: len(draw_errors(values))),
    Metric("oracle_basis", "Whether `oracle_error` is a proven bound (`certificate`) or an `estimate`.",
           read=lambda values: str(values.get("oracle_basis") or "")),
    # Past the trained depth
    Metric("psnr_10", "Mean PSNR of the test images after 10 times as many iterations as were trained; minus infinity "
           "if diverged, missing if the profile leaves no time.", "PSNR at 10 ×", "dB", _psnr,
           depth=Column(5, "at 10 ×"), better="higher", paired=True, read=psnr_at(10), tolerance=DECIBELS),
    Metric("psnr_100", "Mean PSNR of the test images after 100 times as many iterations as were trained.",
           "PSNR at 100 ×", "dB", _psnr,
           depth=Column(6, "at 100 ×"), better="higher", paired=True, read=psnr_at(100), tolerance=DECIBELS),
    Metric("psnr_validation_images", "PSNR at the equilibrium of each validation image.", unit="dB",
           read=image_array("psnr_validation_equilibrium")),
    # Memory and time of the training step
    Metric("saved_mib", "Memory kept between the forward and the backward pass, in saved tensors of autograd and in "
           "objects of the solver; the same on every machine.", "tape", "MiB", ".2f",
           results=Column(13), better="lower", read=mebibytes("saved_bytes"),
           tolerance=Tolerance(relative=0.01), aspect="memory", benchopt="tape_mib"),
    Metric("adjoint_vectors", "Vectors of the size of a state that the adjoint solve holds at most while a product "
           "runs, beside the tape; 0 without an adjoint solve, missing where the solver does not say.",
           "adjoint vectors", format=_count, results=Column(14, hidden=True), better="lower", bold=False,
           aspect="memory"),
    Metric("peak_mib", "Most memory in use at once in a training step; on a GPU in blocks of the allocator, with the "
           "workspaces of CUDA's libraries.", "peak", "MiB", ".2f", results=Column(15, hidden=True), better="lower",
           read=mebibytes("peak_bytes"), aspect="memory", benchopt="peak_mib"),
    Metric("peak_requested_mib", "Peak before the allocator rounds it to blocks; measured on CUDA only.",
           "peak requested", "MiB", ".2f", results=Column(16, hidden=True), better="lower",
           read=mebibytes("peak_requested_bytes"), aspect="memory"),
    Metric("step_ms", "Median time of a training step on the machine of the run, ± the interquartile range over "
           "rounds.", "step", "ms", ".1f", results=Column(17), better="lower", timed=True, spread="step_iqr_ms",
           read=timing(lambda seconds: 1e3 * median(seconds), "seconds")),
    Metric("step_iqr_ms", "Interquartile range of `step_ms` over rounds.", unit="ms", timed=True,
           read=timing(lambda seconds: 1e3 * interquartile_range(seconds), "seconds")),
    Metric("floor_ratio", "Time of a step over that of a bare loop with the same applications and products: median of "
           "interleaved pairs, ± their interquartile range; 1.00 means that the solver adds nothing.", "× bare loop",
           format=".2f", results=Column(18, hidden=True), better="lower", bold=False, timed=True, spread="floor_iqr",
           read=timing(median, "ratios")),
    Metric("floor_iqr", "Interquartile range of `floor_ratio` over rounds.", timed=True,
           read=timing(interquartile_range, "ratios")),
    Metric("same_ratio", "Time of the bare loop over that of itself, which differs from 1 by chance alone.", timed=True,
           read=timing(median, "ratios_of_floor")),
)
# fmt: on
"""In the order of the columns of ``cells.csv``. Use it as ``metrics.METRICS``, so that tests can replace it."""


def metric_named(name: str) -> Metric:
    """The metric of that name."""
    return next(metric for metric in METRICS if metric.name == name)


def in_table(table: Table) -> list[Metric]:
    """Metrics of a printed table, in the order of its columns."""
    columns = [(column.position, metric) for metric in METRICS if (column := metric.column(table))]
    return [metric for _, metric in sorted(columns, key=lambda pair: pair[0])]


def printed() -> list[Metric]:
    """Metrics of any printed table, each once: those of the results, then the others."""
    return list({metric.name: metric for table in Table for metric in in_table(table)}.values())
