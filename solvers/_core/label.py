"""Values as the calls that make them."""

from __future__ import annotations

import dataclasses
from typing import Any

LABELS = {"FixedSteps": "iterate", "SharedInverse": "shared"}
"""Names in labels that differ from the class in lower case; labels pair results across versions, and stay."""


def label_name(kind: type[Any]) -> str:
    """The name of a class in labels: ``anderson`` of ``Anderson``."""
    return LABELS.get(kind.__name__, kind.__name__.lower())


def call(value: Any) -> str:
    """The shortest call of the value's class, by its name in labels: ``anderson(0.001, memory=10)``.

    The first field always stands there; others where they differ from their defaults, by name after a gap.

    Args:
        value: a dataclass of numbers.
    """
    words: list[str] = []
    named = False
    for place, field in enumerate(dataclasses.fields(value)):
        found = getattr(value, field.name)
        if place and found == field.default:
            named = True
            continue
        text = f"{found:g}" if isinstance(found, float) else str(found)
        words.append(f"{field.name}={text}" if named else text)
    return f"{label_name(value.__class__)}({', '.join(words)})"
