"""How wrong a gradient is, whoever made it: its distance to a better one whose own error is certified."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from torch import Tensor

from ._certificates.estimated_bounds import flat
from ._certificates.search import CRUDE, CertifiedGradient, CertifiedSearch
from ._core.argument_checks import at_least, share
from ._core.batch import norm
from ._core.certificate import Certificate
from ._core.maps import Loss, Map

FLOOR = 1e-9
"""A gradient is not told from the exact one below this relative error."""


def audit(
    T: Map,
    x: Tensor,
    loss: Loss,
    parameters: Sequence[Tensor],
    gradient: Sequence[Tensor],
    sharp: float = 0.5,
    budget: int = 2000,
) -> Certificate:
    """The certificate of a given gradient: from below as well as from above, and as sharp as one wishes.

    The gradient may be that of some leaves only: all numbers are then those of that part.

    Starting at ``x``, the equilibrium and its adjoint are solved until the gradient there has a certified error of at
    most ``sharp`` times its distance to the given one. Then ``least ≤ ‖g − F'‖ ≤ error``, and the two differ by a
    factor of at most ``(1 + sharp)/(1 − sharp)``: 3 by default. It needs nothing of the algorithm that made the
    gradient.

    Args:
        T: the map; rigorous if it is ``Regular``, see ``certified``.
        x: where to start, near the equilibrium: the value that the algorithm returned.
        loss: of the equilibrium; ``Smooth`` for a rigorous certificate.
        parameters: the tensors that the gradient is in, all or some; leaves of the tape of T or of the loss.
        gradient: one tensor for each, of its shape; zeros where autograd left ``None``.
        sharp: in (0, 1]; the smaller, the sharper and the costlier.
        budget: applications and products at most, taken together; what was found by then is returned.

    Returns:
        A certificate whose ``correction`` is the distance to the better gradient.

    Raises:
        ValueError: the numbers of parameters and gradients differ, or their shapes; a parameter is given twice, or is
            no leaf of a tape; a gradient is missing or not finite; ``sharp`` or ``budget`` is out of its range.

    Source: bound B2 of the project's theory page, continued to a better point as well.
    """
    share("sharp", sharp)
    at_least("budget", budget, 1)
    _check(parameters, gradient)
    given = [flat([g.detach()], g) for g in gradient]

    def distance(found: CertifiedGradient) -> float:
        gaps = (g - found.parts.get(id(p), 0) for p, g in zip(parameters, given, strict=True))
        return math.hypot(*map(norm, gaps))

    def goal(found: CertifiedGradient) -> float:
        return max(sharp * distance(found), FLOOR * found.size)

    search = CertifiedSearch(T, loss, goal, CRUDE, budget, x.detach())
    search.only = parameters
    search.stand()
    on_tape = {id(leaf) for leaf in (*search.leaves, *search.here.leaves)}
    for number, parameter in enumerate(parameters):
        if id(parameter) not in on_tape:
            raise ValueError(
                f"parameters[{number}], of shape {tuple(parameter.shape)}, is no leaf of the tape of T or of the loss: "
                "leave it out"
            )
    search.settle()
    (found,) = search.found
    return dataclasses.replace(found, correction=distance(search.gradient))


def _check(parameters: Sequence[Tensor], gradient: Sequence[Tensor]) -> None:
    if len(parameters) != len(gradient):
        raise ValueError(f"{len(parameters)} parameters, but {len(gradient)} gradients")
    if len(set(map(id, parameters))) < len(parameters):
        raise ValueError("a parameter is given twice: give each once, with its gradient")
    for number, (parameter, given) in enumerate(zip(parameters, gradient, strict=True)):
        if not isinstance(given, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(f"gradient[{number}] is {given!r}: leave its parameter out, or give zeros")
        if given.shape != parameter.shape:
            raise ValueError(
                f"gradient[{number}] has the shape {tuple(given.shape)}, its parameter {tuple(parameter.shape)}"
            )
        if not bool(given.isfinite().all()):
            raise ValueError(f"gradient[{number}] is not finite, so that its error is not either")
