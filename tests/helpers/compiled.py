"""Problems for compiled and captured maps, and what is held equal."""

from __future__ import annotations

import pytest
import torch

from bench.config.matrix import parse_solver
from bench.measurement.training import parameters, training_step
from tests.helpers.problems import small_problem
from tests.helpers.tensors import F64

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def draw(seed, like):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(like.shape, generator=rng, dtype=F64).to(like)


def assert_same(made, T, x, learned, atol=1e-13):
    """Values, products with the Jacobian through one tape, and gradients in the parameters."""
    with torch.no_grad():
        torch.testing.assert_close(made(x), T(x), rtol=0, atol=atol)
    tapes = []
    for f in (made, T):
        at = x.clone().requires_grad_()
        tapes.append((at, f(at)))
    torch.testing.assert_close(tapes[0][1], tapes[1][1], rtol=0, atol=atol)
    for seed in (1, 2):  # more than once through one tape
        one, two = (
            torch.autograd.grad(out, [at, *learned], draw(seed, out), retain_graph=True) for at, out in tapes
        )
        alone, _ = (torch.autograd.grad(out, at, draw(seed, out), retain_graph=True)[0] for at, out in tapes)
        torch.testing.assert_close(alone, two[0], rtol=0, atol=atol)
        for a, b in zip(one, two, strict=True):
            torch.testing.assert_close(a, b, rtol=1e3 * atol, atol=1e3 * atol)


def same_gradient(solver, p, *maps):
    """Through either map a solver gives the same gradient, up to rounding."""
    found = []
    for T in maps:
        p.operator.zero_grad()
        p.loss(solver(T, p.start(p.train)).x, p.train).backward()
        found.append(p.operator.prior.log_weights.grad)
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-15)


SOLVERS = ("unrolled(3)", "jfb(4)", "neumann(5, 5)", "implicit(nesterov(1e-3), cg(1e-3))", "deq(1e-3)")


def steps(p, solver, samples=3):
    """Gradients and losses of a training over one crop after another, its parameters changed in place."""
    found = []
    for i in range(samples):
        batch = p.train.select(torch.tensor([i]))
        _, loss = training_step(solver, p, batch)
        found.append((loss, [q.grad.clone() for q in parameters(p)]))
        with torch.no_grad():
            for q in parameters(p):
                q -= 0.2 * q.grad.sign()
    return found


def assert_trains_alike(p):
    """By each solver, the gradients of ``p`` are those of an eager instance, at one batch after another."""
    eager = small_problem(train=3)
    for text in SOLVERS:
        found, wanted = (steps(each, parse_solver(text)) for each in (p, eager))
        for one, two in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-14)
        assert len({float(loss) for loss, _ in found}) == 3, "the same measurements at every step"
