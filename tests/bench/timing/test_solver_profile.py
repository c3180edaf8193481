"""Where the time of a solver goes."""

from __future__ import annotations

import time

import torch

from bench.config.matrix import parse_solver, parse_task
from bench.tasks import build_problem
from bench.tasks.images import Layout, find_images
from bench.timing.solver_profile import REST, applications_named, parts
from solvers import deq


def problem():
    return build_problem(
        parse_task("deblurring(huber)"), find_images(None), Layout(32, 1, 1), 0, dtype=torch.float64
    )


def test_applications_and_products_are_told_from_the_solver():
    """A plain iteration has nothing of its own, and Anderson acceleration its Gram matrices."""
    found = parts(parse_solver("jfb(40)"), problem(), 1)
    assert next(iter(found)) in ("T", REST)
    assert found["T"] > 5 * found["VJP"] > 0
    assert "bmm" not in found
    found = parts(deq(1e-3), problem(), 1)
    assert found["T"] > 0
    assert found["VJP"] > 0
    assert found["bmm"] > 0


def test_the_parts_are_the_step():
    begin = time.perf_counter()
    found = parts(deq(1e-3), problem(), 2)
    assert 0 < 2 * sum(found.values()) < time.perf_counter() - begin


def test_the_map_is_as_before():
    of = problem()
    kind = type(of.bind(of.train))
    call = kind.__call__
    with applications_named(of.bind(of.train)):
        assert kind.__call__ is not call
    assert kind.__call__ is call
