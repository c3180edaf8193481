"""Bounds on how far the derivatives of a gradient step on a ridge regulariser may change.

With ``z = W e^s x``, ``h = e^{−a} (φ'(e^{a+b} z) − w φ'(e^a z))`` for each coefficient, and its derivative
``P = e^b [|z| ≤ κ_1] − w [|z| ≤ κ_2]`` with kinks ``κ_1 = e^{−a−b}`` and ``κ_2 = e^{−a}``,

    T(x) = x − τ (AᵀA x − Aᵀy + e^{α−s} Wᵀh),     Jᵀu = u − τ (AᵀA u + e^α WᵀP q),   q = W u,

and Bᵀu is −τ times the derivative of ``e^{α−s} ⟨q, h⟩``, where τ is a constant: the equilibrium does not depend on it.
With ``ψ = P z − h`` and ``f = e^b z [|z| ≤ κ_1]`` it is ``e^{α−s}`` times ``⟨q, h⟩`` in α, ``⟨q, ψ⟩`` in s,
``⟨q, f⟩`` in b, ``⟨q_c, ψ_c⟩`` in ``a_c``, and, in kernels that move W by ``D − ⟨l, ·⟩ W``, with l the derivative of
the logarithm of the norm that W is divided by,

    ⟨D u, h⟩ + ⟨D e^s x, P q⟩ − ⟨l, ·⟩ ⟨q, h + P z⟩,     h + P z = 2h + ψ.

In a ball of radius r, a coefficient moves by at most d, its row norm of W times ``e^s r``, and all of them together by
at most ``D = ‖W‖ e^s r``. P and ψ are constant between kinks, and h has the slope P, so

- a coefficient with a kink within d changes P by at most ``max(e^b, w)`` of the kinks that are, and ψ by ``e^{−a}``, w
  times that at the second; twice that where the ball reaches beyond the opposite kink as well;
- all that change have ``Σ gap² ≤ D²`` for their distances to the kinks: ``flips`` is the largest sum under this;
- ``|Δh| ≤ β |Δz|`` with β the largest ``|P|`` within d, so ``|⟨q, Δh⟩| ≤ ‖β q‖ D``.

Each bilinear term then changes by the change of one factor times the other, with the norms of ``filter_chain``:
``⟨D x', P' q⟩ − ⟨D x, P q⟩ = ⟨D (x' − x), P' q⟩ + ⟨D x, (P' − P) q⟩``, and ``‖P' q‖ ≤ ‖β q‖``.

The gain is that of ``u = (I − J')⁻¹ r``, for w = 0. With ``σ = (1−L)/τ``, ``‖u‖ ≤ ‖r‖/(1−L)``, but
``e^{α/2} ‖P'^½ q‖ ≤ ‖r‖/(2 τ √σ)``: R curves where its coefficients react. So terms with ``P q`` are small, and those
with ``⟨q, h⟩ = ⟨u, Wᵀh⟩`` are because Wᵀh is. ``docs/proofs.md`` has the whole proof.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from solvers import DerivativeChange, Map

from ..operators.data_fidelity import DataFidelity
from ..operators.promoted import PromotedIteration, moved
from ..operators.proximal import norm
from .convolutions import convolve
from .filter_chain import OUTWARD, UNIT, FilterChain
from .ridge_potential import RidgePotential, largest_sum

if TYPE_CHECKING:
    from .ridge import RidgeRegulariser

STEPS = 40.0
"""More than the number of other operations of a step; each rounds off one unit of its result."""
SCALED = 4.0
"""More than the units that ``e^s`` and a product with it round off."""


@dataclass(frozen=True, slots=True, eq=False)
class RidgeBounds:
    """Derivative bounds of a gradient step with its present parameters, computed in float64.

    T is the step in exact arithmetic, with the filters that float64 computes from the kernels, and the step size τ of
    the operator. Rounding in the dtype of the step is measured against float64.

    Attributes:
        regulariser, data: of the step.
        float64: both in float64.
        chain: the filters W.
        potential: of each coefficient.
        L: Lipschitz constant of T.
        tau, largest: the step size τ, and the largest eigenvalue of ``AᵀA``.
        strength, scale: ``e^{α−s}`` and ``e^s``.
        tilt: ``‖l‖``.
    """

    regulariser: RidgeRegulariser
    data: DataFidelity
    float64: tuple[RidgeRegulariser, DataFidelity]
    chain: FilterChain
    potential: RidgePotential
    L: float
    tau: float
    largest: float
    strength: float
    scale: float
    tilt: float
    rigorous: bool = True

    @classmethod
    @torch.no_grad()
    def of(cls, tau: float, regulariser: RidgeRegulariser, data: DataFidelity) -> RidgeBounds | None:
        """The bounds of a step of size ``tau``; ``None`` if the parameters of A are unknown."""
        data64, spectrum = data.in_float64(), data.spectrum()
        if data64 is None or spectrum is None:
            return None
        wide = regulariser
        if regulariser.strength.dtype != torch.float64:
            wide = copy.deepcopy(regulariser).double()

        bounds, chain = wide.curvature(), wide.chain()
        # Eigenvalues of a symmetric J.
        ends = (
            1 - tau * (spectrum[0] - OUTWARD * bounds.weak),
            1 - tau * (spectrum[1] + OUTWARD * bounds.largest),
        )
        L = max(ends[0], -ends[1]) + 8 * UNIT
        # Another dtype may have the largest frequency of the filters elsewhere.
        tilt = max(wide.norm_slope(), regulariser.norm_slope())
        potential = RidgePotential(float(wide.steepness.exp()), wide.weak, wide.scalings.detach().exp()[0])
        strength, scale = float((wide.strength - wide.scale).exp()), float(wide.scale.exp())
        float64 = wide, data64
        return cls(regulariser, data, float64, chain, potential, L, tau, spectrum[1], strength, scale, tilt)

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """The parameters of B: all of the regulariser."""
        return tuple(self.regulariser.parameters())

    @torch.no_grad()
    def rounding(self, x: Tensor) -> float:
        """A bound on the rounding error of an application at ``x``; costs an application, three below float64."""
        return self._promoted().rounding(x, self._allowance(x))

    def in_float64(self) -> Map | None:
        """T on float64 states; ``None`` if the data term has leaves, which are not in the bounds either."""
        return None if self.data.requires_grad() else self._promoted()

    def _promoted(self) -> PromotedIteration:
        regulariser, data = self.float64
        return PromotedIteration(
            self.regulariser,
            lambda x: self._step(x, self.regulariser, self.data),
            regulariser,
            lambda x: self._step(x, regulariser, data),
        )

    def _step(self, x: Tensor, regulariser: RidgeRegulariser, data: DataFidelity) -> Tensor:
        return torch.add(x, data.descent(x) - regulariser.gradient(x), alpha=self.tau)

    @torch.no_grad()
    def distance(self, x: Tensor, residual: float) -> float:
        """See ``solvers.DerivativeBounds``; costs an application, and three more below float64."""
        moves = self.displacement()
        if moves is None or x.dtype != torch.float64:
            return (residual + self.rounding(x)) / (1 - self.L) if self.L < 1 else math.inf
        rest, _, moved = self._rounded_parts(x)
        return OUTWARD * ((residual + rest) / (1 - self.L) + moves * moved)

    def displacement(self) -> float | None:
        """A bound on how far a fixed point moves if z is replaced by ``z + δz``, over ``‖δz‖``.

        It is ``e^{(α+b)/2−s}/(2 √σ)``, as h is monotone with a slope of at most e^b: what moves h is resisted by it.
        ``None`` if h is not monotone, or T is not known to contract.
        """
        if self.potential.weak or not self.L < 1:
            return None
        steepest = self.strength / self.scale * self.potential.steepness
        return 0.5 * math.sqrt(steepest * self.tau / (1 - self.L))

    def _allowance(self, x: Tensor) -> float:
        """A bound on the float64 rounding error of a step at ``x``."""
        rest, turned, _ = self._rounded_parts(x)
        return rest + turned

    def _rounded_parts(self, x: Tensor) -> tuple[float, float, float]:
        """Bounds on what a float64 step at ``x`` rounds off besides z, on what it does because of z, and on ‖δz‖.

        The image itself is rounded once, in the last sum; all other terms carry τ.
        """
        chain, data = self.chain, self.float64[1]
        size, backprojection = norm(x), math.sqrt(self.largest) * norm(data.y)
        descent = (data.rounding() + STEPS) * UNIT * (self.largest * size + backprojection)
        values = chain.forward(self.scale * x.double())
        z, entries = values[-1], self._z_rounding(values)
        moved = min(norm(entries), chain.rounding(values) + SCALED * UNIT * chain.norm * norm(values[0]))
        # A coefficient beyond its kinks has a constant h, however z is rounded.
        turned = norm(self.potential.changes(z, entries).steepest * entries)
        turned = min(turned, self.potential.largest_slope * moved)
        h = self.potential.value(z)
        back = chain.backward(h)
        slope = chain.adjoint_rounding(back) + STEPS * UNIT * (chain.norm * norm(h) + norm(back[0]))
        rest = UNIT * size + self.tau * (descent + self.strength * slope)
        return rest, self.tau * self.strength * chain.norm * turned, moved

    def _z_rounding(self, values: Sequence[Tensor]) -> Tensor:
        """A bound on the float64 rounding of each z, given the values of the chain; ``e^s x`` is rounded too."""
        return self.chain.entry_rounding(values, SCALED * UNIT * values[0].abs())

    @torch.no_grad()
    def change(self, x: Tensor, u: Tensor, radius: float) -> DerivativeChange:
        """See ``solvers.DerivativeBounds``; costs about three applications of T, and one more below float64."""
        chain, potential = self.chain, self.potential
        values, along = chain.forward(self.scale * x.double()), chain.forward(u.double())
        z, q = values[-1], along[-1].abs()
        reach, slack = self.scale * radius, self._slack(x, values)
        D = chain.norm * reach + norm(slack)
        rows = chain.row_norms(*x.shape[-2:])
        moved = potential.changes(z, reach * rows + slack)
        if radius == 0 and x.dtype == torch.float64:  # the derivatives at a point, as they are computed
            D = 0.0
        at_x, anywhere = chain.derivative_at(values), chain.derivative_norm()
        # Changes of P q, and of <q, h>, <q, psi> and <q_c, psi_c>.
        slope = moved.slope * q
        slopes = math.sqrt(largest_sum(slope.square(), moved.gap, D))
        pulled = min(chain.norm * slopes, largest_sum(slope * rows, moved.gap, D))
        steep = norm(moved.steepest * q)
        value, offset = steep * D, largest_sum(moved.offset * q, moved.gap, D)
        by_channel = min(offset, norm((moved.offset * q).sum((0, 2, 3))))
        kernels = chain.derivative_at(along) * potential.largest_slope * D + at_x * slopes
        kernels += (anywhere * reach * steep if D else 0.0) + self.tilt * (2 * value + offset)
        parameters = math.hypot(value, offset, value + offset, by_channel, kernels)
        # Sizes.
        h, psi = potential.value(z), potential.offset(z)
        back, dh = chain.backward(h), potential.largest_slope * D
        dpsi = math.sqrt(largest_sum(moved.offset.square(), moved.gap, D))
        pulled_h = norm(back[0]) + chain.norm * dh
        pulled_psi = norm(chain.backward(psi)[0]) + chain.norm * dpsi
        at_h = chain.adjoint_derivative_at(back) + anywhere * dh
        kernels = at_h + chain.norm * potential.largest_slope * (at_x + anywhere * reach)
        linear = norm(potential.first_linear(z)) + dh + dpsi
        scalings = chain.norm * (math.sqrt(float(psi.square().sum((0, 2, 3)).max())) + dpsi)
        kernels += self.tilt * (2 * pulled_h + pulled_psi)
        size = math.hypot(pulled_h, pulled_psi, chain.norm * linear, scalings, kernels)
        gain = self._gain(
            math.hypot(pulled_h, pulled_psi, scalings), at_h, at_x + anywhere * reach, pulled_h, linear
        )
        grown = OUTWARD * self.tau * self.strength
        return DerivativeChange(grown * self.scale * pulled, grown * parameters, grown * size, grown * gain)

    def _gain(self, pulled: float, at_h: float, at_x: float, pulled_h: float, linear: float) -> float:
        """``DerivativeChange.gain``, but for a factor, from bounds in the ball.

        Args:
            pulled: on the norms of ``Wᵀh``, ``Wᵀψ`` and all ``W_cᵀψ_c`` together.
            at_h, at_x: on ``|⟨D u, h⟩|/‖u‖`` and on ``‖D e^s x‖`` for unit D.
            pulled_h, linear: on ``‖Wᵀh‖`` and ``‖f‖``.
        """
        sizes = self.adjoint_sizes()
        if sizes is None:
            return math.inf
        flat, curved = sizes
        kernels = flat * at_h + curved * self.potential.steepness * at_x
        kernels += self.tilt * (flat * pulled_h + curved * linear)
        return math.hypot(flat * pulled, curved * linear, kernels)

    def adjoint_sizes(self) -> tuple[float, float] | None:
        """Bounds on ``‖u‖`` and on ``e^{−b/2} ‖P^½ W u‖``, of ``u = (I − J)⁻¹ r`` for a unit r, at any image.

        ``None`` if P has both signs, or T is not known to contract.
        """
        if self.potential.weak or not self.L < 1:
            return None
        largest = self.strength * self.scale * self.potential.steepness
        return 1 / (1 - self.L), 0.5 / math.sqrt(largest * self.tau * (1 - self.L))

    def _slack(self, x: Tensor, values: Sequence[Tensor]) -> Tensor:
        """By how much rounding may have moved each coefficient."""
        slack, z = self._z_rounding(values), values[-1]
        if x.dtype == torch.float64:
            return slack
        R = self.regulariser
        return slack + moved(convolve(R.scale.exp() * x, R.filters(), R.circular), z, z.abs())
