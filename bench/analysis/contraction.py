"""The bounds on L that are known before training, one an operator."""

# The stubs of pandas do not know the types of columns.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
from __future__ import annotations

import math

import pandas as pd

from ..operators.splitting import FORWARD_BACKWARD


def contractions(part: pd.DataFrame) -> dict[str, float]:
    """Bound on L of each operator in the rows of a heading, NaN if none is known; forward–backward first."""
    bounds = {
        str(name): float(rows["contraction"].mean()) for name, rows in part.groupby("operator", sort=False)
    }
    return dict(sorted(bounds.items(), key=lambda item: item[0] != FORWARD_BACKWARD))


def within_theory(bounds: dict[str, float]) -> bool:
    """Whether an operator is known to contract."""
    return any(bound < 1 for bound in bounds.values())


def contraction_words(bounds: dict[str, float]) -> list[str]:
    """The bounds in words, a few for each operator: ``L ≤ 0.980``, ``0.754 on peaceman_rachford``."""
    known = {name: bound for name, bound in bounds.items() if not math.isnan(bound)}
    if not known:
        return ["L not known in advance: outside the theory"]
    words = [f"{b:.3f}" + f" on {name}" * (name != FORWARD_BACKWARD) for name, b in known.items()]
    words[0] = f"L ≤ {words[0]}"
    if unknown := [name for name in bounds if name not in known]:
        words.append(f"not known on {', '.join(unknown)}")
    if not within_theory(bounds):
        words[-1] += " only: outside the theory"
    return words


def contraction_facts(bounds: dict[str, float]) -> str:
    """The words in one line: ``L ≤ 0.980, 0.754 on peaceman_rachford``."""
    return ", ".join(contraction_words(bounds))
