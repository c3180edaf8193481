"""Tables of the runs on inertia. Norms are written ‖·‖, for | divides the columns of Markdown."""

from __future__ import annotations

import math

import pandas as pd

from ..simulation import (
    damping_grid,
    discrete_runs,
    discrete_schemes,
    flow_certificate,
    inertial_certificate,
    photograph_runs,
    recovery,
    width_laws,
)
from ..simulation.settings import Setting


def rates(setting: Setting) -> pd.DataFrame:
    """Rates over the grid of dampings and of gradient flow, in units of √µ, µ at the start."""
    rows = []
    for name, near in (("near", True), ("far", False)):
        root = damping_grid.grid_problem(setting, near).mu ** 0.5
        g = damping_grid.gradient_flow_run(setting, near)
        flow = {"measured/√µ": g.rate / root, "K at start/√µ": root, "K at end/√µ": g.mu_end / root}
        rows.append({"start": name, "method": "gradient flow", "α/√µ": math.nan, "β√µ": math.nan} | flow)
        for e in damping_grid.grid_entries(setting, near):
            rows.append(
                {
                    "start": name,
                    "method": "inertial",
                    "α/√µ": e.a,
                    "β√µ": e.b,
                    "measured/√µ": e.measured / root,
                    "K at start/√µ": e.at_start / root,
                    "K at end/√µ": e.at_end / root,
                    "ρ/√µ": e.rho / root,
                    "speed-up": e.measured / g.rate,
                    "‖r‖ over T1": e.excess,
                    "energy error": e.energy,
                }
            )
    return pd.DataFrame(rows)


def methods(setting: Setting) -> pd.DataFrame:
    """The discrete algorithms; rates are ``−log q`` an iteration."""
    runs = [
        *discrete_runs.scheme_runs(setting).values(),
        discrete_runs.certified_run(setting)[0],
        discrete_runs.underdamped_run(setting),
    ]
    return pd.DataFrame(
        [
            {
                "method": r.method,
                "alpha": r.d.alpha,
                "beta": r.d.beta,
                "h": r.h,
                "rate_measured": -math.log(r.factor),
                "rate_pred": -math.log(r.predicted),
                "ratio": math.log(r.factor) / math.log(r.predicted),
                "iters_to_1e-8": r.iterations,
                "evaluations": r.steps[-1].evaluations,
                "E_violations": discrete_schemes.violations(r.energies) if r.d.alpha else 0,
            }
            for r in runs
        ]
    )


def widths_table(setting: Setting) -> pd.DataFrame:
    """Distances in operator norm, geometric means over seeds."""
    return pd.DataFrame(
        [
            {
                "k": d.k,
                "‖JJᵀ/C² − I‖": d.concentration,
                "‖J_T − J_0‖/‖J_0‖": d.jacobian,
                "‖K_T − K_0‖/‖K_0‖": d.kernel,
            }
            for d in width_laws.drifts(setting)
        ]
    )


def certificate_table(setting: Setting) -> pd.DataFrame:
    """The certificates at each width, with the largest ratios of measured to guaranteed values."""
    return pd.DataFrame(
        [
            {
                "k": f.k,
                "σ_min(J0)": f.certificate.jacobian,
                "R'": f.certificate.needed,
                "R": f.certificate.radius,
                "certified": f.valid,
                "‖θ − θ0‖/R'": f.moved,
                "(σ_J/2)/σ_min(J)": f.jacobian,
                "‖r‖ over bound": f.residual,
                "inertial rate/(σ_A σ_J/2)": f.inertial,
                "inertial R'": g.guarantee.needed,
                "inertial certified": g.valid,
                "inertial ‖r‖ over bound": g.residual,
                "F e^(bt)/F(0)": g.lyapunov,
            }
            for f, g in zip(
                flow_certificate.certificate_checks(setting),
                inertial_certificate.inertial_checks(setting),
                strict=True,
            )
        ]
    )


def recoveries(setting: Setting) -> pd.DataFrame:
    """Errors ``|x − x̄|`` and the bounds on them."""
    rows = []
    for c in recovery.recovery_runs(setting):
        limit = recovery.bound(c)
        stopped = c.stop >= 0
        rows.append(
            {
                "case": c.name,
                "‖ε‖": c.noise,
                "dist(x̄, S)": c.misfit,
                "λ": c.smallest,
                "smallest error": float(c.error.min()),
                "time of the stop": float(c.t[c.stop]) if stopped else math.nan,
                "error at the stop": float(c.error[c.stop]) if stopped else math.nan,
                "2‖ε‖/λ": 2 * c.noise / c.smallest,
                "error at the end": float(c.error[-1]),
                "bound at the end": float(limit[-1]),
            }
        )
    return pd.DataFrame(rows)


def photographs(setting: Setting) -> pd.DataFrame:
    """Methods on the photograph; PSNR in dB."""
    runs = [
        photograph_runs.descent_run(setting),
        photograph_runs.adam_run(setting),
        *photograph_runs.tanh_runs(setting),
        photograph_runs.relu_run(setting),
    ]
    return pd.DataFrame(
        [
            {
                "method": f.method,
                "activation": f.activation,
                "α": f.d.alpha,
                "β": f.d.beta,
                "iterations to ‖ε‖": f.stop,
                "PSNR there": f.psnr[f.stop - 1] if f.stop > 0 else math.nan,
                "best PSNR": max(f.psnr),
                "at iteration": 1 + f.psnr.index(max(f.psnr)),
                "PSNR at the end": f.psnr[-1],
                "‖r‖/‖ε‖ at the end": f.residual[-1],
                "evaluations": f.evaluations,
                "E rises": discrete_schemes.violations(f.energies) if f.d.alpha else 0,
            }
            for f in runs
        ]
    )


def spectra(setting: Setting) -> pd.DataFrame:
    """Extreme eigenvalues of K of the decoder by LOBPCG, with the residuals of their Ritz vectors."""
    return pd.DataFrame(
        [
            {
                "when": when,
                "largest": e.largest,
                "its residual": e.largest_error,
                "smallest Ritz value": e.smallest,
                "residual of that": e.smallest_error,
            }
            for when, e in photograph_runs.spectrum_during_run(setting)
        ]
    )


def tables(setting: Setting) -> dict[str, pd.DataFrame]:
    """Every table, by the stem of its file."""
    return {
        "rates": rates(setting),
        "discrete-methods": methods(setting),
        "certificates": certificate_table(setting),
        "widths": widths_table(setting),
        "recovery": recoveries(setting),
        "photograph": photographs(setting),
        "photograph-spectrum": spectra(setting),
    }
