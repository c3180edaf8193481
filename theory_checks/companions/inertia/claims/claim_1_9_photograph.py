"""1.9, photograph: inertia on a real crop with deepinv's decoder.

Asserted is what holds for every smooth generator: E never rises, and the recovery bound holds (the blur is barely
injective). Asserted as well: inertia reaches the noise level in fewer iterations than gradient descent, both with an
adaptive step, and iterating further loses PSNR. The constants of the theory say nothing here, since µ is near 0; the
spectrum is reported, and so is a decoder with ReLU, which assumption A-2 excludes. The experiment was designed for this
project; that of the paper was not at hand.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from ....engine import Evidence, Experiment, Measurement, at_least, at_most, reported, zero
from ..simulation import discrete_schemes, photograph_runs
from ..simulation.settings import Setting


def _measure(setting: Setting) -> Sequence[Measurement]:
    """One crop, one seed."""
    runs = photograph_runs.tanh_runs(setting)
    best = photograph_runs.fastest(runs)
    others = [
        photograph_runs.descent_run(setting),
        photograph_runs.adam_run(setting),
        photograph_runs.relu_run(setting),
    ]
    out = [
        zero(
            "E rises, all dampings", sum(discrete_schemes.violations(f.energies) for f in runs), setting.seed
        ),
        at_most("error over its bound, largest", max(f.bound for f in (*runs, *others)), 1.0, setting.seed),
        at_least(
            "iterations, descent / quickest ISEHD", photograph_runs.speed_up(setting), 1.0, setting.seed
        ),
        at_least(
            "PSNR lost by running on, quickest ISEHD (dB)", max(best.psnr) - best.psnr[-1], 0.1, setting.seed
        ),
    ]
    for f in (*others[:2], *runs, others[2]):
        name = f"{f.method}, {f.activation}"
        stopped = f.psnr[f.stop - 1] if f.stop > 0 else f.psnr[-1]
        out.append(reported(f"iterations to |ε| (−1: never), {name}", f.stop, setting.seed))
        out.append(reported(f"PSNR there or at the end (dB), {name}", stopped, setting.seed))
    out.append(reported("E rises, ReLU", discrete_schemes.violations(others[2].energies), setting.seed))
    for when, e in photograph_runs.spectrum_during_run(setting):
        out.append(reported(f"λ_max(K), {when}", e.largest, setting.seed))
        out.append(reported(f"smallest Ritz value of K, {when}", e.smallest, setting.seed))
        out.append(reported(f"its residual, {when}", e.smallest_error, setting.seed))
    ends = photograph_runs.spectrum(setting, nn.Tanh)
    error = ends.largest_error / ends.largest
    return [*out, at_most("residual of λ_max at the start, relative", error, 1e-3, setting.seed)]


def _negative_control(setting: Setting) -> Sequence[Measurement]:
    """Claim that the last image is as good as the best."""
    best = photograph_runs.fastest(photograph_runs.tanh_runs(setting))
    return [at_most("PSNR lost by running on (dB)", max(best.psnr) - best.psnr[-1], 0.01, setting.seed)]


EXPERIMENT = Experiment(
    id="1.9-photograph",
    statement="E never rises; |x − x̄| ≤ (|r| + |ε|)/σ_min(A); ISEHD reaches |ε| before descent; running on costs PSNR",
    source="derived; experiment of this project",
    assumptions="decoder without batch norm, tanh; circular Gaussian blur; adaptive steps",
    evidence=Evidence.DERIVED,
    measure=_measure,
    negative_control=_negative_control,
    false_statement="running on costs nothing",
)
