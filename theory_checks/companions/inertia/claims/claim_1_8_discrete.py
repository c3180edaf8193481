"""1.8 The energy of the discrete algorithm never rises, and its linear factor is that of a companion matrix.

With the adaptive rule ``E_k = (1 + αβ) f_k + ½|v_k + βg_{k−1}|²`` never rises: for h → 0 its derivative in h is
``−α|v|² − β|g|²``, so halving ends. With a constant ``h < 2(α/L − β)`` and an L-Lipschitz gradient
``V_k = f_k + ½(1 + βLh)|v_k|²`` never rises: from ``f_{k+1} ≤ f_k + h⟨g_k, v_{k+1}⟩ + ½Lh²|v_{k+1}|²`` and
``|g_k − g_{k−1}| ≤ Lh|v_k|``. Scheme read (arXiv 2407.12518), adaptive rule a guess, conditions and factor derived.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ....engine import Evidence, Experiment, Measurement, at_least, at_most, between, near, reported, zero
from ..simulation import discrete_runs, discrete_schemes, rate_fits
from ..simulation.settings import Setting


def _slack(fixed: list[discrete_runs.SchemeRun]) -> float:
    """Largest relative error of 1 − q: an error of 0.02 in a q of 0.99 would say nothing about the rate."""
    return float(np.max([abs((1 - r.factor) / (1 - r.predicted) - 1) for r in fixed]))


def _start(setting: Setting) -> float:
    """Relative error of the recorded ``E_0 = (1 + αβ) f_0 + ½β²|g_0|²``, for the run with β > 0."""
    b = discrete_runs.scheme_problem(setting)
    run = discrete_runs.scheme_runs(setting)["ISEHD, adaptive, β > 0"]
    r, g = b.fit.residual_and_gradient(b.z0)
    f0, g0 = float(r.square().sum()) / 2, float(g.square().sum())
    return abs(run.energies[0] / ((1 + run.d.alpha * run.d.beta) * f0 + run.d.beta**2 * g0 / 2) - 1)


def _measure(setting: Setting) -> Sequence[Measurement]:
    """Runs to ``|r| = 1e-8 |r0|``, with κ(A)² = 100."""
    runs, (certified, L) = discrete_runs.scheme_runs(setting), discrete_runs.certified_run(setting)
    adaptive = [r for name, r in runs.items() if "ISEHD, adaptive" in name]
    fixed = [r for r in (*runs.values(), certified) if math.isfinite(r.h)]
    b = discrete_runs.scheme_problem(setting)
    gd, safe, quick = (runs[name].iterations for name in ("GD, h = 1/L", "ISEHD, safe h", "ISEHD, adaptive"))
    hs, errors = discrete_runs.errors_to_flow(setting)
    return [
        zero(
            "E rises, adaptive", sum(discrete_schemes.violations(r.energies) for r in adaptive), setting.seed
        ),
        zero(
            "V rises, certified step",
            discrete_schemes.violations(discrete_runs.potential(certified, L)),
            setting.seed,
        ),
        at_least("certified L / λ_max(K)", L / float(b.values.max()), 1.0, setting.seed),
        at_most("E at the start against its formula", _start(setting), 1e-12, setting.seed),
        at_most("1 − q against the companion's, largest relative error", _slack(fixed), 0.1, setting.seed),
        *(near(f"q, {r.method}", r.factor, r.predicted, 0.02, setting.seed) for r in fixed),
        near("order of accuracy", rate_fits.log_slope(hs, errors), 1.0, 0.15, setting.seed),
        at_most(
            "ISEHD against its heavy-ball form",
            discrete_runs.heavy_ball_gap(setting, b.fit, b.z0),
            1e-10,
            setting.seed,
        ),
        between(
            "iterations, safe h / GD", safe / gd if min(safe, gd) > 0 else math.nan, 0, 1 - 1e-9, setting.seed
        ),
        between(
            "iterations, adaptive / safe h", quick / safe if min(quick, safe) > 0 else math.nan, 0, 1 - 1e-9
        ),
        *(reported(f"iterations, {r.method}", r.iterations, setting.seed) for r in runs.values()),
    ]


def _negative_control(setting: Setting) -> Sequence[Measurement]:
    """Claim that the energy never rises for a constant step with little damping."""
    run = discrete_runs.underdamped_run(setting)
    return [
        zero(
            f"E rises, {run.method}, q = {run.factor:.4f}",
            discrete_schemes.violations(run.energies),
            setting.seed,
        )
    ]


EXPERIMENT = Experiment(
    id="1.8",
    statement="E never rises under the adaptive rule; q = companion's ± 0.02; order 1; iterations GD > safe > adaptive",
    source="arXiv 2407.12518 for the scheme; the adaptive rule reconstructed",
    assumptions="gradient locally Lipschitz; κ(A)² = 100",
    evidence=Evidence.GUESSED,
    measure=_measure,
    negative_control=_negative_control,
    false_statement="every constant step that converges has an energy that never rises",
)
