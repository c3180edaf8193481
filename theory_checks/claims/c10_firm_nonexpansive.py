"""C10. Proximity operators are firmly nonexpansive.

``(1 + τγ) ‖Px − Py‖² ≤ ⟨Px − Py, x − y⟩`` for ``P = prox_{τg}`` with g convex (γ = 0: firm nonexpansiveness) or
γ-strongly convex. Attained if P is affine with slope ``1/(1 + τγ)`` between x and y, as on the approximation
coefficients, which carry no weight.

The prox acts on wavelet coefficients. That is a proximity operator only because the transform is orthonormal;
with a padded transform (a frame) the inequality is false, and a test finds an instance.

Source: Moreau (1965); Bauschke and Combettes, *Convex analysis and monotone operator theory*, 12.28 and 23.13.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from hypothesis import strategies as st
from torch import Tensor

from bench.penalties import Penalty

from ..engine import Claim, Sides
from ..instances.variational import (
    Acquisition,
    Identity,
    VariationalSpec,
    build_variational,
    penalties,
    photographs,
    steps,
)

sizes = st.sampled_from((1.0, 0.1, 0.01))


def firm_nonexpansiveness(prox: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, modulus: float) -> Sides:
    """Both sides of ``modulus · ‖Px − Py‖² ≤ ⟨Px − Py, x − y⟩``."""
    difference = prox(x) - prox(y)
    squared = float(difference.square().sum())
    return Sides(modulus * squared, float((difference * (x - y)).sum()), float((x - y).square().sum()))


def point_pair(photograph: int, other: int, size: float, shift: bool) -> tuple[Tensor, Tensor]:
    """A crop, and the crop moved by ``size`` towards another one, or made brighter by ``size``."""
    x, y = photographs(1)[photograph][None], photographs(1)[other][None]
    return x, x + size * (torch.ones_like(x) if shift else y - x + 0.1 * y.flip(-1))


def _sides(
    penalty: Penalty, step: float, seed: int, photograph: int, other: int, size: float, shift: bool
) -> Sides:
    return _with_modulus(penalty, step, seed, *point_pair(photograph, other, size, shift), power=1)


def _negative_control(
    penalty: Penalty, step: float, seed: int, photograph: int, other: int, size: float, shift: bool
) -> Sides:
    return _with_modulus(penalty, step, seed, *point_pair(photograph, other, size, shift), power=2)


def _with_modulus(penalty: Penalty, step: float, seed: int, x: Tensor, y: Tensor, *, power: int) -> Sides:
    prior = build_variational(VariationalSpec(Acquisition(Identity(), 0, seed), penalty, step)).operator.prior
    tau = torch.tensor(step, dtype=torch.float64)
    with torch.no_grad():
        return firm_nonexpansiveness(lambda z: prior.prox(z, tau), x, y, (1 + step * penalty.ridge) ** power)


CLAIM = Claim(
    id="C10",
    statement="(1+τγ)‖Px − Py‖² ≤ ⟨Px − Py, x − y⟩ for P = prox_{τg}, g γ-strongly convex",
    source="Moreau 1965; Bauschke, Combettes 12.28, 23.13",
    assumptions="g convex, the transform orthonormal",
    examples=st.tuples(
        penalties(), steps, st.integers(0, 1000), st.integers(0, 3), st.integers(0, 3), sizes, st.booleans()
    ),
    sides=_sides,
    negative_control=_negative_control,
    false_statement="the same with (1+τγ)²",
    attained=True,
)
