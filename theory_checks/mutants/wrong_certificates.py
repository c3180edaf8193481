"""The library's certificate with a part of its formula left out or changed, for the mutants."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor

from bench.penalties.shrinkage_bounds import ShrinkageBounds
from solvers import Certificate, DerivativeBounds, DerivativeChange, WrappedBounds

from ..claims import certified_runs

CERTIFICATE, AUDIT, KINKS = certified_runs.certificate, certified_runs.audit, ShrinkageBounds.change
SEARCH = sys.modules["solvers._certificates.taped_gradient"]


def patched_certificate(**wrong: Any) -> tuple[tuple[object, str, object], ...]:
    """Patches that give the library's certificate wrong inputs, or change its result, wherever it is used.

    Args:
        wrong: maps ``regularity`` or ``smoothness`` (inputs), or a field of ``Certificate``, to a function. That of an
            input takes its right value, that of a field the right certificate; both return the wrong value.
    """
    inputs = {name: value for name, value in wrong.items() if name in ("regularity", "smoothness")}
    fields = {name: value for name, value in wrong.items() if name not in inputs}

    def call(*arguments: Any) -> Certificate:
        bound = inspect.signature(CERTIFICATE).bind(*arguments)
        for name, change in inputs.items():
            bound.arguments[name] = change(bound.arguments[name])
        certificate = CERTIFICATE(*bound.args)
        return replace(certificate, **{name: change(certificate) for name, change in fields.items()})

    return (certified_runs, "certificate", call), (SEARCH, "certificate", call)


def constant_derivatives(**changes: float) -> Callable[[DerivativeBounds], DerivativeBounds]:
    """Wrap derivative bounds so that they wrongly claim that some derivatives are constant, e.g. ``J=0.0``."""

    def look(regularity: DerivativeBounds, x: Tensor, u: Tensor, radius: float) -> DerivativeChange:
        return replace(regularity.change(x, u, radius), **changes)

    return partial(WrappedBounds, wrapper=look)


def overconfident_audit(*arguments: Any) -> Certificate:
    """An audit that takes its own, better gradient for the exact one."""
    return replace(AUDIT(*arguments), adjoint=0.0, equilibrium=0.0)


def change_without_kinks(self: ShrinkageBounds, x: Tensor, u: Tensor, radius: float) -> DerivativeChange:
    """The bounds on the change of derivatives, as if no kink were in the ball."""
    # In a tiny ball no group crosses its kink, and away from kinks every bound is proportional to the radius.
    small = 1e-9 * radius
    tiny, center = KINKS(self, x, u, small), KINKS(self, x, u, 0.0)
    return DerivativeChange(1e9 * tiny.J, 1e9 * tiny.B, center.size + 1e9 * (tiny.size - center.size))
