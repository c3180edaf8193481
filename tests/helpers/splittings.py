"""Splittings of small problems in float64, with every penalty and every physics whose prox has a closed form."""

from __future__ import annotations

from dataclasses import replace

import torch
from deepinv.physics import BlurFFT, Denoising, Inpainting, LinearPhysics
from torch import Tensor

from bench.operators import Operator, Splitting, data_fidelity
from bench.penalties import Penalty, colours, huber, l1, orientations, orientations_colours, union
from solvers import Anderson
from tests.helpers.tensors import F64, draw

SHAPE = (3, 8, 8)


def blur() -> BlurFFT:
    """Asymmetric, so that A is not Aᵀ."""
    kernel = torch.zeros(1, 1, 3, 3, dtype=F64)
    kernel[0, 0, 0, 1], kernel[0, 0, 2, 2], kernel[0, 0, 1, 1] = 0.5, 0.3, 0.2
    return BlurFFT(img_size=SHAPE, filter=kernel)


def lost() -> Inpainting:
    return Inpainting(SHAPE, mask=(draw(3, *SHAPE) > -0.5).to(F64))


PHYSICS = {"denoising": Denoising, "deblurring": blur, "inpainting": lost}

PENALTIES = [
    l1(),
    Penalty("l1, ridge", 0.0, 0.2),
    huber(0.05, 0.2),
    orientations(0.0, 0.2),
    colours(0.05, 0.2),
    orientations_colours(0.05, 0.2),
    union(0.0, 0.2),
    union(0.05, 0.2),
    Penalty("a single basis", 0.0, 0.2, union=("haar",)),
]


def small(penalty: Penalty) -> Penalty:
    bases = ("haar", "db2") if len(penalty.union) > 1 else penalty.union
    return replace(penalty, wavelet="haar", levels=2, union=bases)


def operator_of(
    splitting: Splitting, penalty: Penalty, physics: LinearPhysics, seed: int = 0, step: float = 0.9
) -> Operator:
    """Weights are scattered so that some groups vanish and some do not."""
    operator = splitting.operator(small(penalty), physics, SHAPE, step, F64, "cpu")
    with torch.no_grad():
        weights = operator.prior.log_weights
        weights.copy_(0.5 * draw(seed, *weights.shape) - 1.5)
    return operator


def measured(physics: LinearPhysics, seed: int = 0) -> Tensor:
    truth = 0.5 + 0.3 * draw(seed + 1, 2, *SHAPE)
    return physics.A(truth + 0.1 * draw(seed + 2, 2, *SHAPE))


def equilibrium(operator: Operator, y: Tensor, physics: LinearPhysics) -> Tensor:
    """The image of the fixed point."""
    with torch.no_grad():
        T = operator.bind(y, physics)
        found = Anderson(1e-14, 5000)(T, operator.start(y))
        state = found.x
        for _ in range(200):
            state = T(state)
        assert (T(state) - state).norm() < 1e-11, found.report
        return operator.image(state, data_fidelity(y, physics))
