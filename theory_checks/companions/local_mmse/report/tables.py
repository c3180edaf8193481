"""The tables: every network against every estimator, and the risks."""

from __future__ import annotations

import math

import pandas as pd

from ..claims import claim_2_7_risks
from ..simulation import evaluation, psnr_matches
from ..simulation.settings import Case, Setting


def tables(setting: Setting) -> dict[str, pd.DataFrame]:
    """``match`` (a row a network, split and noise level; dB) and ``risks`` (squared errors)."""
    data = evaluation.images(setting).label
    cases = [*setting.cases, *setting.dominance, *setting.by_size, setting.by_level]
    rows = [
        _row(setting, data, case, split, sigma)
        for case in dict.fromkeys(cases)
        for sigma in (case.sigmas if case == setting.by_level else setting.table_sigmas)
        for split in psnr_matches.SPLITS
    ]
    risks = pd.DataFrame(
        [
            {
                "data": data,
                "estimator": row.quantity.removeprefix("R(").removesuffix(")"),
                "risk": row.measured,
            }
            for row in claim_2_7_risks.EXPERIMENT.measure(setting)
            if row.reported
        ]
    )
    return {"match": pd.DataFrame(rows), "risks": risks}


def _row(setting: Setting, data: str, case: Case, split: str, sigma: float) -> dict[str, object]:
    windows = (
        setting.windows
        if case in (*setting.cases, *setting.dominance) and sigma == setting.sigma
        else (case.P,)
    )
    match = psnr_matches.match(setting, case, split, sigma, windows)
    operator, aware = match.label.split(", ")
    return {
        "data": data,
        "images": case.images or len(evaluation.images(setting).train),
        "operator": operator,
        "physics": aware,
        "arch": case.architecture.name,
        "P": case.P,
        "sigma": sigma,
        "split": split,
        "psnr_net_le": match.own,
        **{f"psnr_net_le_{P}": match.local.get(P, math.nan) for P in setting.windows},
        "psnr_net_mmse": match.mmse,
        "psnr_le_gt": match.best,
        "psnr_net_gt": match.truth,
    }
