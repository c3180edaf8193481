"""States just before and just beyond the kinks of a penalty, where the derivatives of a step change most."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..claims.derivative_checks import StatePair

CROSSING_SHARE = 0.999
"""Share of the radius at which a kink is crossed: a bound that uses too small a ball misses the kink."""
SLOWEST = 1e-3
"""A group whose coefficients move less than this per unit of the state cannot be moved to its kink."""


@dataclass(frozen=True, slots=True)
class Kinks:
    """The coefficients of a penalty as functions of a flat state, and the kink of each group of coefficients.

    Attributes:
        coefficients: the map ``x -> c`` from a flat state to flat coefficients; affine.
        atoms: the map ``c -> u``, the adjoint of the analysis; flat.
        members: the indices of the coefficients in each group, int64.
        kink: magnitude of each group at its kink; ``threshold`` its shrinkage threshold.
        band: index of the weight of each group.
    """

    coefficients: Callable[[Tensor], Tensor]
    atoms: Callable[[Tensor], Tensor]
    members: list[Tensor]
    kink: Tensor
    threshold: Tensor
    band: list[int]


def kink_crossings(kinks: Kinks, x: Tensor, groups: int) -> Iterator[StatePair]:
    """Pairs of states between which a few groups cross their kinks: outwards, from far inside, and inwards.

    Groups of several coefficients also move along the outside of the kink, where their shrinkage is curved.

    Args:
        kinks: the kinks of the step.
        x: flat state; the pairs lie as near to it as possible.
        groups: number of groups to use.
    """
    M = torch.func.jacrev(kinks.coefficients)(x)
    for g in _select_groups(kinks, M, groups):
        members, kink = kinks.members[g], float(kinks.kink[g])
        U = torch.stack([kinks.atoms(torch.eye(len(M), dtype=x.dtype)[m]) for m in members], 1)
        left, singular_values, right = torch.linalg.svd(M[members], full_matrices=False)
        along, direction, speed = left[:, 0], right[0], float(singular_values[0])
        inside = min(0.5 * float(kinks.threshold[g]), 0.9 * kink)
        # Magnitude of the group at the first state, and how far it moves.
        moves = [
            (kink - 1e-4 * kink, 1e-4 * kink),
            (kink - inside, inside),
            (kink + 1e-4 * kink, -1e-4 * kink),
        ]
        if len(members) > 1:
            # The curvature is largest at the end of the move, which is nearest to the kink.
            moves.append((3 * kink, -1.9 * kink * CROSSING_SHARE))
        for magnitude, move in moves:
            shift = torch.linalg.pinv(M[members]) @ (magnitude * along - kinks.coefficients(x)[members])
            start = x + shift
            yield StatePair(start, start + direction * (move / (speed * CROSSING_SHARE)), U)


def _select_groups(kinks: Kinks, M: Tensor, groups: int) -> list[int]:
    """The groups that follow the state best; with ``groups > 1`` also the best groups of each weight."""
    speed = torch.stack([torch.linalg.svdvals(M[m])[-1] for m in kinks.members])
    movable = [g for g in speed.argsort(descending=True).tolist() if speed[g] > SLOWEST]
    if groups == 1:
        return movable[:1]
    best_of_band = {kinks.band[g]: g for g in reversed(movable)}
    others = sorted(best_of_band.values(), key=movable.index)[: 2 * groups]
    return list(dict.fromkeys([*movable[:groups], *others]))
