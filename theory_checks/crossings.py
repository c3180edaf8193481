"""Where the derivatives of a forward–backward step change most: at the kinks of its penalty."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .told import Crossing

NEARLY = 0.999
"""A kink is passed at this share of the radius: a ball that is drawn too small does not reach it."""
MOVED = 1e-3
"""A group that moves less than this with the state cannot be led to its kink."""


@dataclass(frozen=True, slots=True)
class Kinks:
    """The coefficients of a penalty as functions of a flat state, and where each group has its kink.

    Attributes:
        coefficients: ``x -> c``, affine, flat.
        atoms: ``c -> u``: the adjoint of the analysis, flat.
        members: for every group its coefficients, int64.
        kink, threshold: of every group.
        band: of every group, the weight that it has.
    """

    coefficients: Callable[[Tensor], Tensor]
    atoms: Callable[[Tensor], Tensor]
    members: list[Tensor]
    kink: Tensor
    threshold: Tensor
    band: list[int]


def crossings(kinks: Kinks, x: Tensor, groups: int) -> Iterator[Crossing]:
    """A few of its groups led just across their kinks from both sides, from far away, and along the outside."""
    M = torch.func.jacrev(kinks.coefficients)(x)
    for g in _fastest(kinks, M, groups):
        members, kink = kinks.members[g], float(kinks.kink[g])
        U = torch.stack([kinks.atoms(torch.eye(len(M), dtype=x.dtype)[m]) for m in members], 1)
        left, fast, right = torch.linalg.svd(M[members], full_matrices=False)
        along, direction, speed = left[:, 0], right[0], float(fast[0])
        inside = min(0.5 * float(kinks.threshold[g]), 0.9 * kink)
        ways = [
            (kink - 1e-4 * kink, 1e-4 * kink),
            (kink - inside, inside),
            (kink + 1e-4 * kink, -1e-4 * kink),
        ]
        if len(members) > 1:
            # Its curvature is that at the far end, which is the nearest to the kink.
            ways.append((3 * kink, -1.9 * kink * NEARLY))
        for start, way in ways:
            shift = torch.linalg.pinv(M[members]) @ (start * along - kinks.coefficients(x)[members])
            at = x + shift
            yield Crossing(at, at + direction * (way / (speed * NEARLY)), U)


def _fastest(kinks: Kinks, M: Tensor, groups: int) -> list[int]:
    """The groups that follow a state best, and the best of every weight with as many of each as there are."""
    follows = torch.stack([torch.linalg.svdvals(M[m])[-1] for m in kinks.members])
    able = [g for g in follows.argsort(descending=True).tolist() if follows[g] > MOVED]
    if groups == 1:
        return able[:1]
    first = {kinks.band[g]: g for g in reversed(able)}
    return list(dict.fromkeys([*able[:groups], *sorted(first.values(), key=able.index)[: 2 * groups]]))
