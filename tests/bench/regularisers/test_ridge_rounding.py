"""A step on a ridge regulariser rounds off what its data term does, whatever that is."""

from __future__ import annotations

import pytest
import torch

from bench.config.lookup import parse_task
from bench.operators import data_fidelity
from bench.operators.data_fidelity import DataFidelity
from bench.operators.gradient_step import GradientStep
from bench.regularisers.ridge_bounds import RidgeBounds
from bench.tasks import build_problem
from bench.tasks.images import Layout, find_images
from tests.helpers.tensors import F64

UNIT = torch.finfo(F64).eps / 2


@pytest.mark.parametrize(
    "text", ["deblurring(crr)", "super_resolution(crr)", "tomography(crr)", "poisson(crr)"]
)
def test_the_rounding_of_the_data_term_is_in_the_bound(text, monkeypatch):
    problem = build_problem(parse_task(text), find_images(None), Layout(16, 1, 1), 0, dtype=F64)
    operator, batch = problem.operator, problem.train
    assert isinstance(operator, GradientStep)
    data, x = data_fidelity(batch.y, problem.physics), problem.start(batch)
    bounds = RidgeBounds.of(operator.step(), operator.regulariser, data)
    assert bounds is not None
    units, whole = data.rounding(), bounds.rounding(x)
    monkeypatch.setattr(DataFidelity, "rounding", lambda self: 0.0)
    assert whole - bounds.rounding(x) >= UNIT * bounds.tau * units * bounds.largest * float(x.norm()) > 0
