"""Maps with proved constants, and ways to take a gradient."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from solvers import (
    GMRES,
    Anderson,
    LipschitzConstants,
    SmoothLoss,
    implicit,
)
from tests.helpers.monitored import log_of
from tests.helpers.tensors import F64

misuse = pytest.mark.misuse


class Layer(nn.Module):
    """``0.9 tanh(Wx + gain · c + y)``, whose regularity covers c alone unless it is told otherwise."""

    def __init__(self, dtype=F64, big=0.0, gain=False, rounding=None, told=True):
        super().__init__()
        rng = torch.Generator().manual_seed(0)
        W = torch.randn(8, 8, generator=rng, dtype=F64)
        self.W = (0.999 * W / torch.linalg.matrix_norm(W, 2)).to(dtype)
        self.c = nn.Parameter(torch.full((8,), -big, dtype=dtype))
        self.y = (big + 0.3 * torch.randn(2, 8, generator=rng, dtype=F64)).to(dtype)
        self.gain = torch.ones((), dtype=dtype, requires_grad=gain)
        self.rounding, self.told = rounding, told

    def forward(self, x):
        return 0.9 * torch.tanh(x @ self.W.T + self.gain * (self.c + self.y))

    def regularity(self):
        parameters = [self.c] if self.told else None
        return LipschitzConstants(
            0.9, 0.7, 0.7, lambda x: 0.9 * 2**0.5, parameters=parameters, rounding=self.rounding
        )


def mse(x):
    return (x - 0.2).square().mean()


def told(like, *more, **rest):
    return SmoothLoss(mse, 2 / like.numel(), *more, **rest)


def exact(T, loss=mse):
    """In c, by a tight solve in float64."""
    x = implicit(Anderson(1e-14), GMRES(1e-14))(T, torch.zeros_like(T.y)).x
    return torch.autograd.grad(loss(x), T.c)[0]


def logged(T, solver, loss=None, backpropagated=None, **settings):
    monitor, log = log_of(solver, every=1, **settings)
    x0, loss = torch.zeros_like(T.y), loss or told(T.y)
    (backpropagated or loss)(monitor(T, x0, loss).x).backward()
    return log[0][1]


HOW = {
    "backward": lambda value, c: (value.backward(), c.grad)[1],
    "grad": lambda value, c: torch.autograd.grad(value, c)[0],
    "inputs": lambda value, c: (value.backward(inputs=[c]), c.grad)[1],
    "twice": lambda value, c: (value.backward(retain_graph=True), c.grad.clone(), value.backward())[1],
}

SMOOTH6 = SmoothLoss(lambda x: 0.5 * (x - 1).square().sum(), 1.0)
