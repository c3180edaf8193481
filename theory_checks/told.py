"""What a map says of its own derivatives, against what they do: the worst that a search of the ball finds.

A certificate is a sum of bounds, and on a crude gradient each may be slack for a reason of its own: the sum hides a
bound that is false. Here every bound stands alone. The ball is searched where its worst point is known: at the kinks of
a penalty, a state at just the radius beyond one and a cotangent on its group alone; on a smooth map along directions,
with the cotangent that the change of J, or of B, amplifies most.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from solvers import Regularity

from .batches import shaped
from .cases import Case, normal
from .certificates import known
from .claim import Sides
from .exact import jacobians, norm


@dataclass(frozen=True, slots=True)
class Crossing:
    """Two states, and cotangents that see what happens between them.

    Attributes:
        at, there: flat states; the ball is around the first, and the second lies on it.
        cotangents: orthonormal, a column each.
    """

    at: Tensor
    there: Tensor
    cotangents: Tensor


@runtime_checkable
class Kinked(Protocol):
    """A map that knows where its derivatives change most."""

    def crossings(self, x: Tensor, groups: int) -> Iterator[Crossing]:
        """Pairs of states, made of ``x`` by moving as little as it takes, for so many groups and those alike."""
        ...


def told(case: Case, x: Tensor, groups: int = 3) -> list[Sides]:
    """``‖(J(x') − J(x))ᵀu‖``, the same of B, and ``‖B(x')‖``, against what the map says of them; none if it is silent.

    Of a penalty, at the kinks of the ``groups`` that follow a state best, and of one of every weight if that is not 1.
    """
    regularity = known(case).regularity()
    if regularity is None:
        return []
    x = x.detach().flatten()
    crossings = case.T.crossings(x, groups) if isinstance(case.T, Kinked) else _along(case, x)
    return [sides for crossing in crossings for sides in _sides(case, regularity, crossing)]


def _along(case: Case, x: Tensor) -> Iterator[Crossing]:
    """Towards the image and at random, near and far; all cotangents."""
    with torch.no_grad():
        towards = case.T(x) - x
    everything = torch.eye(len(x), dtype=x.dtype)
    for direction, radius in ((towards, 0.01), (normal(7, len(x)).to(x), 1.0), (-x, 1e-4)):
        if (size := norm(direction)) > 1e-100:  # a direction that small is rounding, and its length overflows
            yield Crossing(x, x + direction * (radius / size), everything)


def _sides(case: Case, regularity: Regularity, crossing: Crossing) -> Iterator[Sides]:
    at, there, U = crossing.at, crossing.there, crossing.cotangents
    (J, B), (J_there, B_there) = (_pulled(case, point, U) for point in (at, there))
    radius = norm(there - at)
    for moved, part in ((J_there - J, "J"), (B_there - B, "B")):
        # The combination of cotangents that is amplified most.
        _, sizes, directions = torch.linalg.svd(moved, full_matrices=False)
        u = U @ directions[0]
        change = regularity.change(shaped(case, at), shaped(case, u), radius)
        yield Sides(float(sizes[0]), getattr(change, part), 1.0)
    change = regularity.change(shaped(case, at), shaped(case, U[:, 0]), radius)
    yield Sides(norm(_parametric(case, there)), change.size, 1.0)


def _pulled(case: Case, x: Tensor, U: Tensor) -> tuple[Tensor, Tensor]:
    """``J(x)ᵀU`` and ``B(x)ᵀU``."""
    if U.shape[1] == len(x):  # all of them
        J, B = jacobians(case, x)
        return J.T @ U, B.T @ U
    x = x.detach().requires_grad_()
    y = case.T(x)
    found = [torch.autograd.grad(y, [x, case.T.theta], u, retain_graph=True) for u in U.T]
    return torch.stack([J for J, _ in found], 1), torch.stack([B for _, B in found], 1)


def _parametric(case: Case, x: Tensor) -> Tensor:
    """``B(x)``, a column a parameter: there are few of them."""

    def call(theta: Tensor) -> Tensor:
        return torch.func.functional_call(case.T, {"theta": theta}, (x,))

    return torch.func.jacfwd(call)(case.T.theta.detach())
