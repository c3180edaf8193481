"""Exact solutions of cases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from theory_checks.instances import synthetic
from theory_checks.instances.exact import solve_exactly


def test_another_dtype_is_an_error():
    case = synthetic.affine(2, 1, 0.5, 0)
    with pytest.raises(TypeError, match="float64"):
        solve_exactly(replace(case, x0=case.x0.float()))
