"""Penalties in float64 on small images."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from deepinv.physics import BlurFFT, Denoising
from hypothesis import strategies as st

from bench.penalties import (
    Groups,
    colours,
    huber,
    l1,
    orientations,
    orientations_colours,
    union,
)
from solvers import deq
from tests.helpers.tensors import F64, draw

EVERY_GROUPS = [Groups(), Groups(orientations=True), Groups(colours=True), Groups(True, True)]

GROUPED = [
    make(*call) for make in (orientations, colours, orientations_colours) for call in ((), (0.05, 0.3))
]

COUPLED = [replace(p, coupled=True, label=f"{p.label} coupled") for p in GROUPED]

STATES = [*COUPLED, union(), union(0.05, 0.3)]

EVERY = [l1(), huber(), *GROUPED, *STATES]

every = pytest.mark.parametrize("prior", EVERY, ids=lambda p: p.label)

coupled = pytest.mark.parametrize("prior", COUPLED, ids=lambda p: p.label)

seeds = st.integers(0, 10_000)


def small(prior):
    return replace(prior, wavelet="haar", levels=2, union=("haar", "db2") if prior.union else ())


def scatter(penalty, seed, size=0.4):
    """Parameters away from their start; some groups vanish in the prox, some do not."""
    with torch.no_grad():
        penalty.log_weights.copy_(0.5 * draw(seed, *penalty.log_weights.shape) - 1.5)
        if hasattr(penalty, "coupling"):
            penalty.coupling.copy_(size * draw(seed + 1, *penalty.coupling.shape))
    return penalty


def built(prior, seed):
    return scatter(small(prior).build((3, 8, 8), F64), seed)


def state_shape(prior, batch=1):
    return batch, 6 if prior.union else 3, 8, 8


def blur():
    kernel = torch.zeros(1, 1, 3, 3, dtype=F64)
    kernel[0, 0, 0, 1], kernel[0, 0, 2, 2], kernel[0, 0, 1, 1] = 0.5, 0.3, 0.2
    return BlurFFT(img_size=(3, 8, 8), filter=kernel)


PHYSICS = {"denoising": Denoising, "blur": blur}


def eigenvalues(physics):
    A = dense(physics.A, (1, 3, 8, 8))
    values = torch.linalg.svdvals(A).square()
    return float(values.min()), float(values.max())


def dense(f, shape, at=None):
    at = torch.zeros(shape, dtype=F64) if at is None else at
    return torch.func.jacrev(lambda x: f(x).flatten())(at).reshape(-1, at.numel()).detach()


def settle(operator, y, physics):
    with torch.no_grad():
        T, state = operator.bind(y, physics), operator.start(y)
        state = deq(1e-12, 2000).forward_solver(T, state).x
        for _ in range(50):
            state = T(state)
        assert (T(state) - state).norm() < 1e-11
        return state
