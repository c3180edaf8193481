"""An upper bound on the error of a gradient at equilibrium, from what the step that made it knows anyway.

Let ``y_k = T(x_k)`` be the applications on the tape, ``u_k`` the cotangents that reached them and
``a_k = J(x_k)ᵀu_k``, ``v = ∇ℓ(y)`` at the value y that was returned, and ``ϱ = v + Σ (a_k − u_k)``, which is the last
cotangent ``(Jᵀ)^K v`` of a truncated series, and the residual of an adjoint solve. With ``e_k ≥ ‖x_k − x*‖``,
``e ≥ ‖y − x*‖`` and ``b ≥ ‖B(x*)‖``,

    ‖g − F'‖ ≤ b/(1−L) ‖ϱ‖  +  H e + Σ ΔB_k + b/(1−L) (Λ e + Σ ΔJ_k),

where ``ΔJ_k`` and ``ΔB_k`` bound ``‖(J(x*) − J(x_k))ᵀu_k‖`` and ``‖(B(x*) − B(x_k))ᵀu_k‖``: see ``Regularity``. Proof:
``(I − J*ᵀ)(Σu_k − u*) = Σ(J_k − J*)ᵀu_k + (v − v*) − ϱ``, and ``g − F' = h − h* + Σ(B_k − B*)ᵀu_k + B*ᵀ(Σu_k − u*)``.

Nothing was used but that the gradient is ``h + Σ B(x_k)ᵀu_k``: it holds for truncated tapes (bound B1 of the
project's theory page), for every adjoint solve (S6 and B3), and for any other algorithm that applies T on a tape.
"""

# torch.linalg carries no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ._regularity import Regularity
from ._watch import Taped, last_pass

ROUNDING = 10.0
"""What an application or a product may round off, in units of the rounding of its dtype, relative to its value."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """``‖g − F'‖ ≤ error``, and what it is made of. ``F'`` is the exact implicit gradient.

    Attributes:
        size: ``‖g‖``, or that of the better gradient where there is one (see ``correction``); nan if it was not told.
        adjoint: what is left of the adjoint equation, ``b/(1−L) ‖ϱ‖``: the residual of its solve, or the truncation
            of a series.
        equilibrium: what the distance to the equilibrium costs.
        correction: how far g is from the better gradient to which the other two belong; 0 where it is that one itself.
        amplification: ``b/(1−L)``: what a residual of the adjoint equation is multiplied by.
        distance: of the value that was returned to the equilibrium, at most.
        L: the Lipschitz constant that was used.
        rigorous: whether everything used is a bound by proof, in exact arithmetic; otherwise it is an estimate.
        why: why there is no bound, or why it is an estimate; empty for a rigorous one.
    """

    size: float
    adjoint: float
    equilibrium: float
    correction: float = 0.0
    amplification: float = math.nan
    distance: float = math.nan
    L: float = math.nan
    rigorous: bool = False
    why: str = ""

    @property
    def error(self) -> float:
        """The bound on ``‖g − F'‖``; infinite where there is none."""
        return self.correction + self.adjoint + self.equilibrium

    @property
    def least(self) -> float:
        """``‖g − F'‖`` is at least this."""
        return max(0.0, self.correction - self.adjoint - self.equilibrium)

    @property
    def exact(self) -> float:
        """``‖F'‖`` is at least this."""
        return max(0.0, self.size - self.adjoint - self.equilibrium)

    @property
    def relative(self) -> float:
        """The bound on ``‖g − F'‖ / ‖F'‖``; infinite where F' may vanish."""
        if self.error == 0:
            return 0.0
        return self.error / self.exact if self.exact > 0 else math.inf

    @property
    def cosine(self) -> float:
        """The cosine between g and F' is at least this; −1 where nothing is known. Above 0, −g descends."""
        longest = self.exact if self.correction else self.size
        return math.sqrt(1 - (self.error / longest) ** 2) if self.error < longest else -1.0

    def times(self, factor: float) -> Certificate:
        """That of the gradient of a loss ``factor > 0`` times as large."""
        sizes = ("size", "adjoint", "equilibrium", "correction")
        return dataclasses.replace(self, **{name: factor * getattr(self, name) for name in sizes})


def certificate(
    taped: Sequence[Taped],
    y: Tensor,
    v: Tensor,
    regularity: Regularity,
    smoothness: float,
    direct: float = 0.0,
    size: float = math.nan,
) -> Certificate:
    """The certificate of the gradient that one backward pass left behind.

    Args:
        taped: the applications on the tape with their cotangents, of ``Watch.taped`` (after ``backward()``).
        y: the value of which the loss was taken.
        v: ``∂ℓ/∂x`` there.
        regularity: what is known of T.
        smoothness: Λ, the Lipschitz constant of ``∂ℓ/∂x``.
        direct: H, that of ``∂ℓ/∂θ``; 0 where the loss sees the parameters through x alone.
        size: ``‖g‖``, for the relative bound.

    Returns:
        A certificate with infinite parts where L is not below 1.

    Raises:
        ValueError: nothing was taped, or no cotangent has passed yet.

    Source: Ehrhardt & Roberts (arXiv 2301.04764) for a-posteriori bounds of hypergradients; the form above is this
    project's own.
    """
    if not taped:
        raise ValueError("nothing was taped: solve with the Watch in place of T, and with gradients enabled")
    passed = last_pass(taped)
    if not passed:
        raise ValueError("no cotangent has passed: call backward() before the certificate")
    if not regularity.L < 1:
        why = f"L = {regularity.L:.6g} is not below 1"
        return Certificate(size, math.inf, math.inf, 0.0, math.inf, math.inf, regularity.L, False, why)
    inverse = 1 / (1 - regularity.L)
    eps = ROUNDING * torch.finfo(y.dtype).eps
    left, moved_J, moved_B = v.detach().clone(), 0.0, 0.0
    b = before = nearest = math.inf
    last, rounded = v, norm(v)
    for kept in passed:
        if kept.u is None or kept.a is None:
            raise ValueError(
                "a cotangent ended before the points: use backward(), torch.autograd.grad skips them"
            )
        distance = inverse * (norm(kept.y - kept.x) + eps * norm(kept.y))
        if before < math.inf:
            distance = min(distance, regularity.L * before + norm(kept.x - last))
        change = regularity.change(kept.x, kept.u, distance)
        moved_J, moved_B, b = moved_J + change.J, moved_B + change.B, min(b, change.size)
        left += kept.a - kept.u
        rounded += norm(kept.u)
        nearest = min(nearest, regularity.L * distance + norm(y - kept.y))
        before, last = distance, kept.y
    adjoint = b * inverse * (norm(left) + eps * rounded)
    equilibrium = direct * nearest + moved_B + b * inverse * (smoothness * nearest + moved_J)
    why = "" if regularity.rigorous else "the constants of T are estimates"
    return Certificate(
        size, adjoint, equilibrium, 0.0, b * inverse, nearest, regularity.L, regularity.rigorous, why
    )


def norm(x: Tensor) -> float:
    """``‖x‖`` over all entries."""
    return float(torch.linalg.vector_norm(x.detach()))
