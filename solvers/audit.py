"""Certify the error of a gradient by its distance to a better gradient with a certified error."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from torch import Tensor

from ._certificates.estimated_bounds import flat
from ._certificates.search import CRUDE, CertifiedSearch
from ._certificates.taped_gradient import GradientParts
from ._certificates.wide_search import allow_for_rounding, in_float64
from ._core.argument_checks import at_least, fraction
from ._core.batch import norm
from ._core.certificate import Certificate
from ._core.maps import Loss, Map

FLOOR = 1e-9
"""The better gradient is computed to no less than this relative error."""


def audit(
    T: Map,
    x: Tensor,
    loss: Loss,
    parameters: Sequence[Tensor],
    gradient: Sequence[Tensor],
    sharp: float = 0.5,
    budget: int = 2000,
) -> Certificate:
    """Certify the error of a given gradient, from below and from above.

    From ``x``, solve for the equilibrium and its adjoint until the gradient there has a certified error of at most
    ``sharp`` times its distance to the given one. Then ``least ≤ ‖g − F'‖ ≤ error``, and these differ by a factor of at
    most ``(1 + sharp)/(1 − sharp)``, 3 by default. How the given gradient was computed does not matter. The better one
    is computed in float64 if the derivative bounds of T have a map ``in_float64``.

    If the gradient is given in some leaves only, all numbers refer to that part of it.

    Args:
        T: the map; rigorous if it ``HasDerivativeBounds``, see ``certified``.
        x: the start, near the equilibrium: the value that the algorithm returned.
        loss: of the equilibrium; ``Smooth`` for a rigorous certificate.
        parameters: leaves of the tape of T or of the loss, all or some.
        gradient: one tensor per parameter, of its shape; zeros where autograd left ``None``.
        sharp: in (0, 1]; a smaller value is sharper, and costs more.
        budget: maximal number of applications and products together; if it is spent, the bounds reached are returned.

    Returns:
        A certificate whose ``correction`` is the distance to the better gradient.

    Raises:
        ValueError: the numbers or shapes of parameters and gradients differ; a parameter is given twice, or is no leaf
            of a tape; a gradient is missing or not finite; ``sharp`` or ``budget`` is out of its range.

    Source: bound B2 of the project's theory page, applied at a better point as well.
    """
    fraction("sharp", sharp)
    at_least("budget", budget, 1)
    _check(parameters, gradient)
    vectors = [flat([g.detach()], g) for g in gradient]

    def distance(better: GradientParts) -> float:
        gaps = (g - better.parts.get(id(p), 0) for p, g in zip(parameters, vectors, strict=True))
        return math.hypot(*map(norm, gaps))

    def goal(better: GradientParts) -> float:
        return max(sharp * distance(better), FLOOR * better.size)

    search = CertifiedSearch(T, loss, goal, CRUDE, budget, x.detach())
    search.parameters = parameters
    search.record()
    wide = in_float64(search)
    search = wide or search
    on_tape = {id(leaf) for leaf in (*search.leaves, *search.loss_derivatives.leaves)}
    for index, parameter in enumerate(parameters):
        if id(parameter) not in on_tape:
            raise ValueError(
                f"parameters[{index}], of shape {tuple(parameter.shape)}, is no leaf of the tape of T or of the loss: "
                "leave it out"
            )
    search.settle()
    (bound,) = search.certificates
    if wide is not None:
        bound = allow_for_rounding(wide, x.dtype)
    return dataclasses.replace(bound, correction=distance(search.gradient))


def _check(parameters: Sequence[Tensor], gradient: Sequence[Tensor]) -> None:
    if len(parameters) != len(gradient):
        raise ValueError(f"{len(parameters)} parameters, but {len(gradient)} gradients")
    if len(set(map(id, parameters))) < len(parameters):
        raise ValueError("a parameter is given twice: give each once, with its gradient")
    for index, (parameter, g) in enumerate(zip(parameters, gradient, strict=True)):
        if not isinstance(g, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(f"gradient[{index}] is {g!r}: leave its parameter out, or give zeros")
        if g.shape != parameter.shape:
            raise ValueError(
                f"gradient[{index}] has the shape {tuple(g.shape)}, its parameter {tuple(parameter.shape)}"
            )
        if not bool(g.isfinite().all()):
            raise ValueError(f"gradient[{index}] is not finite, so its error is not either")
