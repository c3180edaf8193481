"""Regularity by observation: what a map was seen to do, with a safety factor; an estimate, and never a proof."""

# torch.linalg and torch.autograd carry few types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ._batch import norm
from ._core import Map
from ._regularity import Change

SAFETY = 2.0
"""What was seen is multiplied by this: ``1/(1−L)``, ``‖B‖``, and every change of a derivative."""


@dataclass(slots=True)
class Pulls:
    """Products with the derivatives of a map, counted.

    Attributes:
        T: the map.
        leaves: the parameters that B is the derivative in.
        taped, made: applications of T and products so far.
    """

    T: Map
    leaves: Sequence[Tensor]
    taped: int = 0
    made: int = 0

    def at(self, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """``J(x)ᵀu`` and ``B(x)ᵀu``, the latter in a row, through a new tape."""
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            y = self.T(x)
        self.taped += 1
        return self.through(x, y, u)

    def through(self, x: Tensor, y: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """The same through the tape of ``y = T(x)``, which stays."""
        self.made += 1
        a, *B = torch.autograd.grad(
            y, [x, *self.leaves], u, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        return a, flat(B, u)


@dataclass(frozen=True, slots=True)
class Observed:
    """Regularity from what was seen of a map.

    Attributes:
        pulls: products with its derivatives.
        lipschitz: the largest ‖J(x)ᵀw‖/‖w‖ that was seen.
        parametric: the largest ‖B(x)ᵀw‖/‖w‖ that was seen, or a probe of the Frobenius norm.
        towards: a direction in which the equilibrium lies, as far as one can tell: ``T(x) − x``.
    """

    pulls: Pulls = field(repr=False)
    lipschitz: float
    parametric: float
    towards: Tensor = field(repr=False)

    @property
    def rigorous(self) -> bool:
        """False."""
        return False

    @property
    def L(self) -> float:
        """What was seen, half as far from 1."""
        return 1 - (1 - self.lipschitz) / SAFETY if self.lipschitz < 1 else self.lipschitz

    def change(self, x: Tensor, u: Tensor, radius: float) -> Change:
        """Twice the change seen at ``radius`` from x, towards the equilibrium: two applications and two products."""
        length = norm(self.towards)
        if not radius or not length:
            return Change(0.0, 0.0, SAFETY * self.parametric)
        here = self.pulls.at(x, u)
        there = self.pulls.at(x + self.towards * (radius / length), u)
        J, B = (SAFETY * norm(b - a) for a, b in zip(here, there, strict=True))
        return Change(J, B, SAFETY * self.parametric)


def probe(pulls: Pulls, x: Tensor, y: Tensor) -> float:
    """``‖B(x)ᵀz‖`` for a random z with unit variance: in the mean square, the Frobenius norm of B."""
    z = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype).to(x.device)
    return norm(pulls.through(x, y, z)[1])


def leaves(*values: Tensor) -> list[Tensor]:
    """The tensors that gradients of ``values`` end in, in the order in which their tapes meet them."""
    found: dict[int, Tensor] = {}
    seen: set[object] = set()
    waiting: list[object] = [value.grad_fn for value in values if value.grad_fn is not None]
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if variable is not None:
            found[id(variable)] = variable
        waiting += [after for after, _ in getattr(node, "next_functions", ()) if after is not None]
    return list(found.values())


def flat(tensors: Sequence[Tensor], like: Tensor) -> Tensor:
    """All entries of ``tensors`` in a row; none make an empty row."""
    return torch.cat([t.flatten() for t in tensors]) if tensors else like.new_zeros(0)
