"""Diagnostics of maps."""

from __future__ import annotations

import pytest
import torch

from theory_checks.instances import diagnostics, synthetic


def test_a_detector_tells_a_linear_rate_from_a_sublinear_one():
    assert diagnostics.regime_index(
        lambda x: 0.9 * x + 1, torch.zeros(2, dtype=torch.float64)
    ) == pytest.approx(2, abs=0.1)
    sublinear = diagnostics.regime_index(lambda x: x - 0.5 * x**3, torch.full((1,), 0.9, dtype=torch.float64))
    assert sublinear == pytest.approx(1, abs=0.1)
    assert diagnostics.regime_index(lambda x: -x, torch.ones(1, dtype=torch.float64)) == 0


def test_power_iteration_finds_the_norm_and_says_how_well():
    case = synthetic.affine(4, 1, 0.9, 3)
    found = diagnostics.jacobian_norm(case.T, case.x0, 400)
    assert found.value == pytest.approx(0.9, rel=1e-9)
    assert found.residual < 1e-8
