"""The tables: every network against every estimator, and the risks."""

from __future__ import annotations

import math

import pandas as pd

from ..claims import claim_2_7_risks
from ..simulation import evaluation, psnr_matches
from ..simulation.settings import Case, Setting


def tables(at: Setting) -> dict[str, pd.DataFrame]:
    """``match`` (a row a network, split and noise level; dB) and ``risks`` (squared errors)."""
    data = evaluation.images(at).label
    cases = [*at.cases, *at.dominance, *at.by_size, at.by_level]
    rows = [
        _row(at, data, case, split, sigma)
        for case in dict.fromkeys(cases)
        for sigma in (case.sigmas if case == at.by_level else at.tabulated)
        for split in psnr_matches.SPLITS
    ]
    risks = pd.DataFrame(
        [
            {
                "data": data,
                "estimator": row.quantity.removeprefix("R(").removesuffix(")"),
                "risk": row.measured,
            }
            for row in claim_2_7_risks.measure(at)
            if row.reported
        ]
    )
    return {"match": pd.DataFrame(rows), "risks": risks}


def _row(at: Setting, data: str, case: Case, split: str, sigma: float) -> dict[str, object]:
    windows = at.windows if case in (*at.cases, *at.dominance) and sigma == at.sigma else (case.P,)
    found = psnr_matches.match(at, case, split, sigma, windows)
    operator, aware = found.label.split(", ")
    return {
        "data": data,
        "images": case.images or len(evaluation.images(at).train),
        "operator": operator,
        "physics": aware,
        "arch": case.architecture.name,
        "P": case.P,
        "sigma": sigma,
        "split": split,
        "psnr_net_le": found.own,
        **{f"psnr_net_le_{P}": found.local.get(P, math.nan) for P in at.windows},
        "psnr_net_mmse": found.mmse,
        "psnr_le_gt": found.best,
        "psnr_net_gt": found.truth,
    }
