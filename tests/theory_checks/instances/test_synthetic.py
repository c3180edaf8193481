"""Synthetic cases: their repr and their constants."""

from __future__ import annotations

import pytest
import torch

from theory_checks.instances import synthetic
from theory_checks.instances.exact import two_norm


@pytest.mark.parametrize("build", synthetic.FAMILIES.values(), ids=synthetic.FAMILIES)
def test_a_case_prints_as_the_call_that_makes_it(build):
    arguments = {
        "isotropic": (2, 0.5, 7),
        "scaling": (0.5, 2.0, 3.0),
        "network": (2, 0.5, 7),
        "bent": (0.5, 0.5, 1.0),
    }
    case = build(*arguments.get(build.__name__, (2, 1, 0.5, 7)))
    again = eval(repr(case), dict(synthetic.FAMILIES))
    assert torch.equal(again.x0, case.x0)
    assert torch.equal(again.T(again.x0), case.T(case.x0))


@pytest.mark.parametrize("build", synthetic.FAMILIES.values(), ids=synthetic.FAMILIES)
def test_the_constants_of_a_family_are_true(build):
    arguments = {
        "isotropic": (3, 0.8, 1),
        "scaling": (0.8, 2.0, 3.0),
        "network": (3, 0.8, 1),
        "bent": (0.8, 0.5, 1.0),
    }
    case = build(*arguments.get(build.__name__, (3, 2, 0.8, 1)))
    from theory_checks.instances.exact import jacobians

    for seed in range(20):
        n = len(case.x0)
        a, b = 2 * synthetic.standard_normal(seed, n), 2 * synthetic.standard_normal(seed + 99, n)
        (Ja, Ba), (Jb, Bb) = jacobians(case, a), jacobians(case, b)
        gap = two_norm(a - b) * (1 + 1e-12)
        assert two_norm(Ja) <= case.L * (1 + 1e-12)
        assert two_norm(Ja - Jb) <= case.M_J * gap + 1e-14
        assert two_norm(Ba - Bb) <= case.M_B * gap + 1e-14
