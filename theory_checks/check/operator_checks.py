"""Checks of the operator of a user's task."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.measurement.hypergradient import NoReference, reference_gradient
from bench.measurement.jacobian_norm import jacobian_norm
from solvers import Anderson

from ..instances import standard_normal
from .crops import TaskOnCrops
from .outcome import Note, require

BUDGET = 1000
"""Largest number of applications, and of products, for solving a problem."""
DERIVATIVE_TOLERANCE = 1e-5
"""Largest relative difference between a derivative of T and central differences."""
GRADIENT_TOLERANCE = 1e-3
"""The same for the implicit gradient: between the two points of a difference lie kinks of the penalty."""


def _shape_and_repetition(crops: TaskOnCrops) -> str:
    """T keeps shape and dtype, does not change its argument, and returns the same value every time."""
    x, original = crops.x, crops.x.clone()
    with torch.no_grad():
        first, second = crops.T(x), crops.T(x)
    require(torch.equal(x, original), "T changes its argument in place")
    require(
        (first.shape, first.dtype) == (x.shape, x.dtype),
        f"T(x) is {tuple(first.shape)} of {first.dtype}, x is {tuple(x.shape)} of {x.dtype}: keep shape and dtype",
    )
    require(
        torch.equal(first, second),
        "T(x) is different every time: it draws random numbers, or remembers its calls",
    )
    return ""


def _sample_independence(crops: TaskOnCrops) -> str:
    """T(x) of a sample does not depend on the other samples of the batch."""
    with torch.no_grad():
        batch = crops.T(crops.x)
        for i in range(len(crops.x)):
            T = crops.problem.bind(crops.batch.select(torch.tensor([i])))
            alone = T(crops.x[i : i + 1])
            error = float(torch.linalg.vector_norm(batch[i] - alone[0]) / torch.linalg.vector_norm(alone))
            require(
                error <= 1e-10,
                f"a sample differs by {error:.1e} in a batch: samples must not interact; look for a mean or a norm "
                "over dimension 0",
            )
    return ""


def _derivatives(crops: TaskOnCrops) -> str:
    """Autograd's derivatives of ``⟨w, T_θ(x)⟩`` along random directions agree with central differences."""
    x = (crops.x + 0.05 * standard_normal(5, *crops.x.shape)).requires_grad_()
    w = standard_normal(6, *crops.x.shape)
    parameters = {n: p for n, p in crops.problem.operator.named_parameters() if p.requires_grad}
    # A new binding, because what an operator computes from its parameters when it is bound must be on the tape too.
    T = crops.problem.bind(crops.batch)
    gradients = torch.autograd.grad((w * T(x)).sum(), [x, *parameters.values()], allow_unused=True)
    worst = 0.0
    for i, (name, leaf) in enumerate({"x": x, **parameters}.items()):
        direction = standard_normal(10 + i, *leaf.shape)
        slopes = [_slope(crops, x, leaf, direction, w, h) for h in (1e-4, 1e-5, 1e-6)]
        gradient = gradients[i]
        if gradient is None or not bool(gradient.any()):
            require(
                max(map(abs, slopes)) < 1e-8,
                f"T depends on {name}, and no gradient reaches it: look for .detach(), .item(), .data or float() "
                "between it and T(x)",
            )
            continue
        value = float((gradient * direction).sum())
        scale = float(torch.linalg.vector_norm(gradient) * torch.linalg.vector_norm(direction))
        error = min(abs(value - slope) for slope in slopes) / scale
        require(
            error <= DERIVATIVE_TOLERANCE,
            f"the derivative in {name} is {value:.6g} by autograd, and {slopes[1]:.6g} by differences: a part of T is "
            "detached, or has a backward pass of its own that is wrong",
        )
        worst = max(worst, error)
    return f"autograd agrees with differences to {worst:.1e}"


def _slope(crops: TaskOnCrops, x: Tensor, leaf: Tensor, direction: Tensor, w: Tensor, h: float) -> float:
    """Central difference of ``⟨w, T(x)⟩`` when ``leaf`` moves by ``±h`` times the direction."""
    values: list[float] = []
    with torch.no_grad():
        original = leaf.clone()
        for sign in (1, -1):
            leaf.copy_(original + sign * h * direction)
            values.append(float((w * crops.problem.bind(crops.batch)(x)).sum()))
        leaf.copy_(original)
    return (values[0] - values[1]) / (2 * h)


def _contraction(crops: TaskOnCrops) -> str:
    """``contraction()`` bounds every expansion that is measured."""
    T, L = crops.T, crops.problem.contraction
    with torch.no_grad():
        x = Anderson(1e-8, 500)(T, crops.x).x
        points = [
            crops.x,
            x,
            crops.x + 0.3 * standard_normal(7, *crops.x.shape),
            crops.x + 3 * standard_normal(8, *crops.x.shape),
        ]
        values = [T(p) for p in points]
        ratios = [
            float(
                torch.linalg.vector_norm(values[i] - values[j])
                / torch.linalg.vector_norm(points[i] - points[j])
            )
            for i in range(len(points))
            for j in range(i)
        ]
    measured = max(*ratios, *(jacobian_norm(T, p, 100).value for p in points))
    if math.isnan(L):
        raise Note(
            f"contraction() knows no bound; measured from below: {measured:.4f}"
            + (", so T is no contraction, and the theory does not apply" if measured > 1 else "")
        )
    require(
        measured <= L * (1 + 1e-9) + 1e-9,
        f"contraction() states L = {L:.6g}, but T stretches a distance {measured:.6g} times: the bound is too small; "
        "return a larger one, or nan if you know none",
    )
    if not L < 1:
        raise Note(f"L = {L:.4g} is not below 1: T is no contraction, and the theory does not apply")
    return f"L = {L:.4f} is stated, {measured:.4f} measured"


def _gradient(crops: TaskOnCrops) -> str:
    """The implicit gradient agrees with central differences of the problem solved again."""
    parameters = [p for p in crops.problem.operator.parameters() if p.requires_grad]
    T = crops.problem.limit(crops.batch)
    try:
        exact = reference_gradient(
            T, parameters, crops.x, lambda x: crops.problem.loss(x, crops.batch), BUDGET
        ).gradient
    except NoReference as error:
        raise Note(f"no equilibrium to check a gradient at: {error}") from error
    require(
        bool(exact.any()),
        "the gradient at equilibrium is zero: the equilibrium does not depend on the parameters",
    )
    direction = standard_normal(9, len(exact))
    slopes = [_solved_slope(crops, parameters, direction, h) for h in (1e-3, 1e-4)]
    value = float(exact @ direction)
    size = float(torch.linalg.vector_norm(exact) * torch.linalg.vector_norm(direction))
    error = min(abs(value - slope) for slope in slopes) / size
    require(
        error <= GRADIENT_TOLERANCE,
        f"the implicit gradient is {value:.6g} along a direction, and {slopes[1]:.6g} by differences of the solved "
        "problem: a part of T, of image() or of start() is detached, or the equilibrium is not unique",
    )
    return f"agrees with differences of the solved problem to {error:.1e}"


def _solved_slope(crops: TaskOnCrops, parameters: list[nn.Parameter], direction: Tensor, h: float) -> float:
    """Central difference of the loss at equilibrium when the parameters move by ``±h`` times the direction."""
    values: list[float] = []
    originals = [p.detach().clone() for p in parameters]
    parts = direction.split([p.numel() for p in parameters])
    with torch.no_grad():
        for sign in (1, -1):
            for p, original, part in zip(parameters, originals, parts, strict=True):
                p.copy_(original + sign * h * part.view(p.shape))
            x = Anderson(1e-13, BUDGET, 10)(crops.problem.limit(crops.batch), crops.x).x
            values.append(float(crops.problem.loss(x, crops.batch)))
        for p, original in zip(parameters, originals, strict=True):
            p.copy_(original)
    return (values[0] - values[1]) / (2 * h)


OPERATOR_CHECKS: dict[str, Callable[[TaskOnCrops], str]] = {
    "keeps_shape_and_repeats": _shape_and_repetition,
    "treats_samples_alone": _sample_independence,
    "derivatives": _derivatives,
    "contraction": _contraction,
    "gradient_at_equilibrium": _gradient,
}
"""Checks of an operator by their names."""
