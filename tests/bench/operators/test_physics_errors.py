"""What does not fit the physics gets a clear sentence."""

from __future__ import annotations

import pytest
import torch
from deepinv.physics import (
    BlurFFT,
    Denoising,
    Inpainting,
    LinearPhysics,
    Physics,
)

from bench.utils.errors import UserError
from tests.helpers.physics import KERNEL, N, Y, draw, operator


class Curved(Physics):
    """Not linear."""


class Lame:
    """No adjoint."""

    def A(self, x):
        return x


@pytest.mark.parametrize(
    ("physics", "y", "message"),
    [
        pytest.param(
            LinearPhysics(A=lambda x, **_: x),
            Y,
            "give it A_adjoint",
            marks=pytest.mark.misuse(
                "a physics without A_adjoint", "refused: does not take measurements of (…): give it A_adjoint"
            ),
        ),
        pytest.param(Lame(), Y, "Lame has no A_adjoint"),
        pytest.param(
            Curved(),
            Y,
            "not a linear physics",
            marks=pytest.mark.misuse("a physics that is not linear", "refused: … is not a linear physics"),
        ),
        pytest.param(
            Denoising,
            Y,
            "is the class Denoising",
            marks=pytest.mark.misuse(
                "the class of a physics", "refused: the physics is the class Denoising: make one"
            ),
        ),
        pytest.param(
            BlurFFT((1, N, N), KERNEL),
            Y[..., :8],
            "give",
            marks=pytest.mark.misuse(
                "measurements of another size than the physics", "refused: … do not fit BlurFFT"
            ),
        ),
        pytest.param(Inpainting((3, N, N), mask=draw(0, 3, N, N)), Y, "do not fit Inpainting"),
        pytest.param(
            Denoising(),
            Y.to(torch.complex128),
            "give real ones",
            marks=pytest.mark.misuse(
                "complex measurements for the benchmark's own operators",
                "refused: … give real ones of its size and dtype",
            ),
        ),
        pytest.param(BlurFFT((1, N, N), KERNEL), Y.float(), "size and dtype"),
    ],
)
def test_what_does_not_fit_the_physics_gets_a_clear_sentence(physics, y, message):
    with pytest.raises(UserError, match=message):
        operator().bind(y, physics)


@pytest.mark.parametrize(
    "x",
    [
        pytest.param(
            Y[:1],
            marks=pytest.mark.misuse(
                "a start of another batch than the measurements",
                "refused: states of (…) do not fit the measurements",
            ),
        ),
        pytest.param(
            Y.float(),
            marks=pytest.mark.misuse(
                "a start of another dtype than the measurements",
                "refused: states of (…) do not fit the measurements",
            ),
        ),
    ],
)
def test_states_that_do_not_fit_the_measurements_get_a_clear_sentence(x):
    with pytest.raises(UserError, match="do not fit the measurements"):
        operator().bind(Y, Denoising())(x)
