"""Wrong certificates, for ``mutants``: the library's own, with a part of the formula left out."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor

from bench.operators.regularity import ShrinkageRegularity
from solvers import Certificate, Change, Regularity, Through

from . import certificates

CERTIFICATE, AUDIT, KINKS = certificates.certificate, certificates.audit, ShrinkageRegularity.change
SEARCH = sys.modules["solvers._search"]


def wrong_certificate(**wrong: Any) -> tuple[tuple[object, str, object], ...]:
    """The library's certificate, told or telling something else, wherever it is used."""
    told = {name: value for name, value in wrong.items() if name in ("regularity", "smoothness")}
    tells = {name: value for name, value in wrong.items() if name not in told}

    def call(*given: Any) -> Certificate:
        bound = inspect.signature(CERTIFICATE).bind(*given)
        for name, change in told.items():
            bound.arguments[name] = change(bound.arguments[name])
        found = CERTIFICATE(*bound.args)
        return replace(found, **{name: change(found) for name, change in tells.items()})

    return (certificates, "certificate", call), (SEARCH, "certificate", call)


def still(**still: float) -> Callable[[Regularity], Regularity]:
    """What is known of a map, as if some of its derivatives did not change."""

    def look(of: Regularity, x: Tensor, u: Tensor, radius: float) -> Change:
        return replace(of.change(x, u, radius), **still)

    return partial(Through, look=look)


def credulous_audit(*given: Any) -> Certificate:
    """An audit that takes its better gradient for the exact one."""
    return replace(AUDIT(*given), adjoint=0.0, equilibrium=0.0)


def kinks_ignored(self: ShrinkageRegularity, x: Tensor, u: Tensor, radius: float) -> Change:
    """The library's, where no kink is near."""
    # In a ball as large as rounding no group changes its side; where no kink is near, all it tells grows with the ball.
    small = 1e-9 * radius
    near, here = KINKS(self, x, u, small), KINKS(self, x, u, 0.0)
    return Change(1e9 * near.J, 1e9 * near.B, here.size + 1e9 * (near.size - here.size))
