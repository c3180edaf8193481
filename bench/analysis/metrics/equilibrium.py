"""Equilibrium of the learned operator: where it is, whether iteration stays there, and the training loss."""

from __future__ import annotations

from ...measurement.jacobian_norm import verdict
from .metric import Column, Metric, Table, Tolerance

RESULTS, DEPTH = Table.RESULTS, Table.DEPTH


def _yes_or_no(share: float) -> str:
    return "no" if share == 0 else "yes" if share == 1 else "on some seeds"


EQUILIBRIUM = (
    Metric(
        "jacobian_norm",
        "Lipschitz constant L = ‖J‖ measured at the equilibrium by power iteration on JᵀJ, an estimate from below; the "
        "theory applies if it is below 1.",
        title="T at its equilibrium",
        format=verdict,
        columns={DEPTH: Column(1)},
        over_seeds="max",
        words=True,
        # The power iteration may stop short of a cluster of eigenvalues.
        tolerance=Tolerance(absolute=0.002, relative=0.02),
    ),
    Metric(
        "jacobian_norm_residual",
        "Relative residual of the power iteration for ‖J‖.",
        title="± rel.",
        format=".1e",
        columns={DEPTH: Column(2, hidden=True)},
        over_seeds="max",
        words=True,
    ),
    Metric(
        "stalls",
        "Whether the residual shrinks by less than half from 10 to 100 times the trained depth.",
        title="residual stalls",
        format=_yes_or_no,
        columns={DEPTH: Column(3)},
        words=True,
    ),
    Metric(
        "equilibrium_residual",
        "Residual ‖T(x) − x‖ / ‖T(x)‖ where Anderson acceleration ended, or plain iteration if its residual is "
        "smaller; the largest over the test images.",
        title="residual there",
        format=".1e",
        columns={DEPTH: Column(8, hidden=True)},
    ),
    Metric(
        "equilibrium_applications", "Applications that Anderson acceleration made to find the equilibrium."
    ),
    Metric("equilibrium_converged", "1 if the residual met the tolerance of the profile, else 0."),
    Metric(
        "equilibrium_stays",
        "Whether plain iteration stays at the equilibrium when it starts there.",
        title="plain iteration stays",
        format=_yes_or_no,
        columns={DEPTH: Column(9)},
        words=True,
    ),
    Metric("equilibrium_plain_residual", "Residual where plain iteration from the equilibrium ends."),
    Metric(
        "equilibrium_plain_psnr",
        "Mean PSNR of the test images where plain iteration from the equilibrium ends.",
        unit="dB",
    ),
    Metric(
        "training_loss_equilibrium",
        "Training loss at the equilibrium of the learned operator: what every solver minimises, so that the page ranks "
        "trained operators by it.",
        title="training loss at eq.",
        columns={RESULTS: Column(3)},
        better="lower",
        paired=True,
        equilibrium="training_equilibrium_residual",
    ),
    Metric(
        "panel_equilibrium_converged",
        "1 if the residual of the image in the figures met the tolerance, else 0.",
    ),
)
