"""Build the problem of a specification, and compute its exact gradient in float64 from the same numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor

from bench.utils.errors import UserError
from solvers import GMRES, Anderson, Map, SmoothLoss, implicit

from .layers import LAYERS, Layer
from .operators import OperatorMap
from .problem import F64, AttackProblem, BuiltProblem

FLOOR = 1e3 * torch.finfo(F64).eps
"""Relative error of the exact gradient, in units of ``1/(1−L)²``, and the largest residual of its two solves."""
POWERS = 60
"""Products of the power iteration that finds the slowest mode."""


class NoReferenceError(RuntimeError):
    """A solve for the exact gradient did not reach ``FLOOR``."""


def build_attack_problem(problem: AttackProblem, dtype: torch.dtype) -> BuiltProblem:
    """Build a problem in ``dtype``. Raises ``UserError`` where an operator does not take its prior or physics."""
    T = build_map(problem, dtype)
    return _built(problem, T, _start(T), dtype)


def in_float64(problem: AttackProblem, original: BuiltProblem, dtype: torch.dtype) -> BuiltProblem:
    """Build a problem in float64, with the numbers of one that was built in another dtype."""
    T, source = build_map(problem, F64), original.T
    if isinstance(T, Layer):
        assert isinstance(source, Layer)
        T.copy_numbers(source)
    else:
        assert isinstance(source, OperatorMap)
        T.copy_numbers(source)
    return _built(problem, T, original.x0.double(), dtype)


def build_map(problem: AttackProblem, dtype: torch.dtype) -> Layer | OperatorMap:
    """The map of a problem."""
    return Layer(problem, dtype) if problem.map in LAYERS else OperatorMap(problem, dtype)


@lru_cache(maxsize=4096)
def exact_parts(problem: AttackProblem, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """The exact gradient in float64 of the problem with the numbers that it has in ``dtype``.

    Raises ``NoReferenceError`` if its equations cannot be solved.
    """
    built = in_float64(problem, build_attack_problem(problem, dtype), dtype)
    solution = implicit(Anderson(1e-14, 1200, memory=8), GMRES(1e-13, 300))(built.T, built.x0)
    parts = torch.autograd.grad(built.loss(solution.x), built.leaves, allow_unused=False)
    residuals = [solution.forward.residual, *(report.residual for report in solution.adjoint)]
    if not max(residuals) <= FLOOR:
        raise NoReferenceError(f"the exact gradient has residuals of {max(residuals):.1e}")
    return parts


@lru_cache(maxsize=4096)
def slow_direction(problem: AttackProblem, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The equilibrium in float64, and a unit vector along the slowest mode of the adjoint there.

    It is found by a power iteration with ``Jᵀ`` from a vector of equal entries.
    """
    original = build_map(problem, dtype)
    built = in_float64(problem, BuiltProblem(original, _start(original), _zero_loss(), ()), dtype)
    with torch.no_grad():
        x = Anderson(1e-12, 600, memory=8)(built.T, built.x0).x
    x = x.detach().requires_grad_()
    value = built.T(x)
    u = torch.ones_like(x) / math.sqrt(x.numel())
    for _ in range(POWERS):
        product = torch.autograd.grad(value, x, u, retain_graph=True)[0]
        size = float(product.norm())
        if size == 0:
            break
        u = product / size
    return x.detach(), u


def _start(T: Layer | OperatorMap) -> Tensor:
    return torch.zeros_like(T.y) if isinstance(T, Layer) else T.start()


def _zero_loss() -> SmoothLoss:
    return SmoothLoss(lambda x: x.sum() * 0, 0.0)


def _built(problem: AttackProblem, T: Layer | OperatorMap, x0: Tensor, dtype: torch.dtype) -> BuiltProblem:
    leaves = (T.c,) if isinstance(T, Layer) else T.leaves()
    return BuiltProblem(T, x0, _loss(problem, T, x0, leaves, dtype), leaves)


def _loss(
    problem: AttackProblem, T: Map, x0: Tensor, leaves: tuple[Tensor, ...], dtype: torch.dtype
) -> SmoothLoss:
    if problem.loss == "slow":
        direction = slow_direction(replace(problem, loss="mse"), dtype)[1].to(dtype).to(x0)
        return SmoothLoss(lambda x: (x * direction).sum(), 0.0)
    scale = 1.0 if problem.map in LAYERS else problem.scale
    if problem.loss == "image" and isinstance(T, OperatorMap):
        return _image_loss(T, x0, dtype)
    truth = _truth(scale, x0, dtype)
    factor = 2 / x0.numel()

    def mse(x: Tensor) -> Tensor:
        return (x - truth).square().mean()

    if problem.loss != "direct":
        return SmoothLoss(mse, factor)
    theta: Callable[[], Tensor] = leaves[0].sum
    # The derivative of Σθ · mean(x) is mean(x) in each entry of θ, and Σθ / n in each entry of x.
    H = math.sqrt(leaves[0].numel()) / math.sqrt(x0.numel())
    return SmoothLoss(lambda x: mse(x) + theta() * x.mean(), factor, H, [leaves[0]])


def _image_loss(T: OperatorMap, x0: Tensor, dtype: torch.dtype) -> SmoothLoss:
    if (bound := T.image_bound()) is None:
        raise UserError("the image of a state has no known Lipschitz constant")
    with torch.no_grad():
        like = T.image(x0)
    truth = _truth(T.problem.scale, like, dtype)
    return SmoothLoss(lambda x: (T.image(x) - truth).square().mean(), 2 * bound / like.numel())


def _truth(scale: float, like: Tensor, dtype: torch.dtype) -> Tensor:
    """A ramp of the shape of ``like``, rounded to ``dtype``: the same numbers in every precision."""
    ramp = scale * torch.linspace(0, 1, like.numel(), dtype=dtype)
    return ramp.to(like).view_as(like)
