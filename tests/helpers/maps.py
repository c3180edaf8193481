"""Maps as people write them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from solvers import (
    GMRES,
    Nesterov,
    Picard,
    checkpointed,
    deq,
    implicit,
    neumann,
    phantom,
    restarted_jfb,
    unrolled,
)

# Not public: state that a guard compares at every application.
from solvers._core.map_guard import AutocastState
from tests.helpers.known_maps import matrix
from tests.helpers.tensors import F64

W, C = matrix(6, 0.6, 0), matrix(6, 1.0, 1)[0]
PLAIN = AutocastState("cpu")
DEEP = [
    implicit(Picard(1e-11, 3000), GMRES(1e-11)),
    implicit(Nesterov(1e-11, 3000), GMRES(1e-11)),
    deq(1e-11),
    neumann(100, 100),
    unrolled(100),
    checkpointed(100),
    phantom(100, 100),
    restarted_jfb(50, 2),
]


def by_label(solvers):
    return pytest.mark.parametrize("solver", solvers, ids=lambda s: s.label)


class Pure(nn.Module):
    """``x -> tanh(0.6 Wx + θ)``."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(C.clone())

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x @ W.T + self.theta)


class InPlace(Pure):
    """Writes into its argument, and returns it."""

    def forward(self, x: Tensor) -> Tensor:
        return x.copy_(super().forward(x))


class Clamps(Pure):
    """A first layer in place, as ``nn.ReLU(inplace=True)`` is."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.clamp_(min=-0.3))


class Clamped(Pure):
    """The same, as it is meant."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.clamp(min=-0.3))


class BehindTheBack(Pure):
    """Changes its argument so that torch does not count it."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        x.data.zero_()
        return y


class Buffers(Pure):
    """Returns ``n`` buffers in turn, as they are or as views."""

    def __init__(self, n: int, view: bool = False) -> None:
        super().__init__()
        shape = (12,) if view else (2, 6)
        self.memory, self.made = [torch.zeros(shape, dtype=F64) for _ in range(n)], 0

    def forward(self, x: Tensor) -> Tensor:
        own = self.memory[self.made % len(self.memory)]
        self.made += 1
        own.copy_(super().forward(x).view_as(own))
        return own if own.ndim == 2 else own.view(2, 6)


class NumPy(Pure):
    """Works in NumPy, and wraps one array again at every application."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = np.zeros((2, 6))

    def forward(self, x: Tensor) -> Tensor:
        self.memory[:] = super().forward(x).numpy()
        return torch.from_numpy(self.memory)


class Slices(Pure):
    """Keeps its trajectory in one tensor, and returns slices of it."""

    def __init__(self) -> None:
        super().__init__()
        self.trajectory, self.made = torch.zeros(5000, 2, 6, dtype=F64), 0

    def forward(self, x: Tensor) -> Tensor:
        own = self.trajectory[self.made % 2]
        self.made += 1
        return own.copy_(super().forward(x))
