"""Compare the bounds that a map states of its derivatives with the largest changes that a search finds.

A certificate is a sum of bounds. On a crude gradient each of them may be slack, so the sum can hide a bound that is
false. Here each bound is checked alone, where its worst case is known to be: across the kinks of a penalty, with two
states a kink apart and a cotangent on that group alone; on a smooth map along a few directions, with the cotangent that
the change of J or of B amplifies most.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from solvers import DerivativeBounds

from ..engine import Sides
from ..instances import Case, jacobians, standard_normal, two_norm
from ..instances.batches import solver_state
from .certified_runs import with_known_bounds


@dataclass(frozen=True, slots=True)
class StatePair:
    """Two states between which derivatives change, and the cotangents to which the change is applied.

    Attributes:
        center: flat state, the center of the ball; ``edge`` a flat state on its sphere.
        cotangents: orthonormal columns, of shape ``(n, k)``.
    """

    center: Tensor
    edge: Tensor
    cotangents: Tensor


@runtime_checkable
class HasKinks(Protocol):
    """A map that knows the states between which its derivatives change most."""

    def crossings(self, x: Tensor, groups: int) -> Iterator[StatePair]:
        """Pairs of states near ``x`` across the kinks of ``groups`` groups, and of one group of each other weight."""
        ...


def derivative_inequalities(case: Case, x: Tensor, groups: int = 3) -> list[Sides]:
    """``‖(J(x') − J(x))ᵀu‖``, ``‖(B(x') − B(x))ᵀu‖`` and ``‖B(x')‖``, each with the bound that the map states.

    Args:
        case: the map; without stated bounds the list is empty.
        x: state to search around.
        groups: number of groups of a penalty whose kinks are crossed.
    """
    regularity = with_known_bounds(case).regularity()
    if regularity is None:
        return []
    x = x.detach().flatten()
    pairs = case.T.crossings(x, groups) if isinstance(case.T, HasKinks) else _pairs_along_lines(case, x)
    return [sides for pair in pairs for sides in _pair_inequalities(case, regularity, pair)]


def _pairs_along_lines(case: Case, x: Tensor) -> Iterator[StatePair]:
    """Pairs towards T(x), at random, and towards 0, at different distances, with all cotangents."""
    with torch.no_grad():
        step = case.T(x) - x
    all_cotangents = torch.eye(len(x), dtype=x.dtype)
    for direction, radius in ((step, 0.01), (standard_normal(7, len(x)).to(x), 1.0), (-x, 1e-4)):
        # A direction as small as this is rounding, and dividing by its length would overflow.
        if (size := two_norm(direction)) > 1e-100:
            yield StatePair(x, x + direction * (radius / size), all_cotangents)


def _pair_inequalities(case: Case, regularity: DerivativeBounds, pair: StatePair) -> Iterator[Sides]:
    center, edge, U = pair.center, pair.edge, pair.cotangents
    (J, B), (J_edge, B_edge) = (_transposed_products(case, point, U) for point in (center, edge))
    radius = two_norm(edge - center)
    for difference, part in ((J_edge - J, "J"), (B_edge - B, "B")):
        # The combination of the cotangents that the difference amplifies most.
        _, sizes, directions = torch.linalg.svd(difference, full_matrices=False)
        u = U @ directions[0]
        bounds = regularity.change(solver_state(case, center), solver_state(case, u), radius)
        yield Sides(float(sizes[0]), getattr(bounds, part), 1.0)
    bounds = regularity.change(solver_state(case, center), solver_state(case, U[:, 0]), radius)
    yield Sides(two_norm(_parameter_jacobian(case, edge)), bounds.size, 1.0)


def _transposed_products(case: Case, x: Tensor, U: Tensor) -> tuple[Tensor, Tensor]:
    """``J(x)ᵀU`` and ``B(x)ᵀU``."""
    if U.shape[1] == len(x):  # all cotangents: dense Jacobians are cheaper
        J, B = jacobians(case, x)
        return J.T @ U, B.T @ U
    x = x.detach().requires_grad_()
    y = case.T(x)
    products = [torch.autograd.grad(y, [x, case.T.theta], u, retain_graph=True) for u in U.T]
    return torch.stack([J for J, _ in products], 1), torch.stack([B for _, B in products], 1)


def _parameter_jacobian(case: Case, x: Tensor) -> Tensor:
    """``B(x)`` in forward mode: there are few parameters."""

    def call(theta: Tensor) -> Tensor:
        return torch.func.functional_call(case.T, {"theta": theta}, (x,))

    return torch.func.jacfwd(call)(case.T.theta.detach())
