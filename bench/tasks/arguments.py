"""Small things the task files share: checked values and labels."""

from __future__ import annotations

from ..operators import Prior
from ..utils.errors import UserError


def noise_level(value: float) -> float:
    """A standard deviation in (0, 1], or a ``UserError``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise UserError(f"noise must lie in (0, 1] (images are in [0, 1]), not {value!r}")
    return float(value)


def label(name: str, prior: Prior, **given: tuple[float, float]) -> str:
    """The shortest call that makes the task: ``name(prior, key=value)``, defaults left out.

    Args:
        name: the factory.
        prior: always shown.
        given: for each keyword its value and its default.
    """
    if not hasattr(prior, "operator"):
        raise UserError(f"the prior of {name} must be one such as huber or drunet, not {prior!r}")
    words = [
        prior.label,
        *(f"{key}={value:g}" for key, (value, default) in given.items() if value != default),
    ]
    return f"{name}({', '.join(words)})"
