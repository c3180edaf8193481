"""Labels: calls that make a value again, as they stand in tables and on command lines."""

from __future__ import annotations

import dataclasses
from typing import Any

LABELS = {
    "FixedSteps": "iterate",
    "SharedInverse": "shared",
    "ProxCG": "prox_cg",
    "QuasiNewton": "quasi_newton",
}
"""Labels that are not the class in lower case. They pair results across versions, so they must not change."""


def label_name(kind: type[Any]) -> str:
    """Return the name of a class in labels, e.g. ``anderson`` for ``Anderson``."""
    return LABELS.get(kind.__name__, kind.__name__.lower())


def call(value: Any) -> str:
    """Return the shortest call that makes a dataclass of numbers, e.g. ``anderson(0.001, memory=10)``.

    The first field is always written; the others where they differ from their defaults, by name after a gap.
    """
    words: list[str] = []
    named = False
    for index, field in enumerate(dataclasses.fields(value)):
        argument = getattr(value, field.name)
        if index and argument == field.default:
            named = True
            continue
        text = f"{argument:g}" if isinstance(argument, float) else str(argument)
        words.append(f"{field.name}={text}" if named else text)
    return f"{label_name(value.__class__)}({', '.join(words)})"
