"""An upper bound on the error of a gradient at equilibrium, from what the step that made it knows anyway.

Let ``y_k = T(x_k)`` be the applications on the tape, ``u_k`` the cotangents that reached them and
``a_k = J(x_k)ᵀu_k``, ``v = ∇ℓ(y)`` at the value y that was returned, and ``ϱ = v + Σ (a_k − u_k)``, which is the last
cotangent ``(Jᵀ)^K v`` of a truncated series, and the residual of an adjoint solve. With ``e_k ≥ ‖x_k − x*‖``,
``e ≥ ‖y − x*‖`` and ``b ≥ ‖B(x*)‖``,

    ‖g − F'‖ ≤ b/(1−L) ‖ϱ‖  +  H e + Σ ΔB_k + b/(1−L) (Λ e + Σ ΔJ_k),

where ``ΔJ_k`` and ``ΔB_k`` bound ``‖(J(x*) − J(x_k))ᵀu_k‖`` and ``‖(B(x*) − B(x_k))ᵀu_k‖``: see ``DerivativeBounds``.
Proof:
``(I − J*ᵀ)(Σu_k − u*) = Σ(J_k − J*)ᵀu_k + (v − v*) − ϱ``, and ``g − F' = h − h* + Σ(B_k − B*)ᵀu_k + B*ᵀ(Σu_k − u*)``.

Nothing was used but that the gradient is ``h + Σ B(x_k)ᵀu_k``: it holds for truncated tapes (bound B1 of the
project's theory page), for every adjoint solve (S6 and B3), and for any other algorithm that applies T on a tape.

Rounding: an application is off by ``ρ_k ≥ ‖fl(T)(x_k) − T(x_k)‖``, stated by the regularity or measured by
shaking one application; it enters the distances, and moves the points at which derivatives are taken by as much
as makes T move by ρ_k. A product is allowed ``ROUNDING`` units of the last place of its cotangent, and of b times
that; where nothing is stated, the way back is shaken too, and ``ROUNDING`` times what it moves by is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .._core.batch import norm
from .._core.certificate import Certificate
from .derivative_bounds import (
    DerivativeBounds,
    changed,
    checked_bound,
    lipschitz_of,
    states_rounding,
    told_rounding,
    uncovered,
)
from .estimated_bounds import CountedProducts
from .products import taped as apply
from .rounding import Rounding, shake
from .tape_recorder import TapedApplication, last_backward_pass

ROUNDING = 10.0
"""What an operation or a product may round off, in units of the rounding of its dtype, relative to its value."""
COVER = "give its regularity parameters=[…], the leaves that its B is the derivative in"
STEPPED = "a parameter of T was changed in place after the solve: call backward() before the step"


def certificate(
    taped: Sequence[TapedApplication],
    y: Tensor,
    v: Tensor,
    regularity: DerivativeBounds,
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
        A certificate with infinite parts where L is not below 1, or something is not finite.

    Raises:
        ValueError: nothing was taped, or no cotangent has passed yet, or a constant is negative.

    Source: Ehrhardt & Roberts (arXiv 2301.04764) for a-posteriori bounds of hypergradients; the form above is this
    project's own.
    """
    checked_bound("smoothness", smoothness)
    checked_bound("direct", direct)
    if not taped:
        raise ValueError("nothing was taped: solve with the Watch in place of T, and with gradients enabled")
    passed = last_backward_pass(taped)
    if not passed:
        raise ValueError("no cotangent has passed: call backward() before the certificate")
    y, v, L = y.detach(), v.detach(), regularity.L
    if not L < 1:
        return none(f"L = {L:.6g} is not below 1", L, size)
    inverse = 1 / (1 - lipschitz_of(regularity))
    pairs = [_complete(kept) for kept in passed]
    if math.isinf(size) or not all(map(_finite, (y, v, *(t for u, a in pairs for t in (u, a))))):
        return none("the value, its cotangent or the gradient is not finite", L, size)
    seen = _seen(passed, regularity)
    allowed = _allowances(passed, regularity, seen)
    eps = torch.finfo(y.dtype).eps
    left, moved_J, moved_B = v.clone(), 0.0, 0.0
    b = before = nearest = math.inf
    last, previous, rounded, pulled = v, 0.0, norm(v), 0.0
    for kept, (u, a), off in zip(passed, pairs, allowed, strict=True):
        distance = inverse * (norm(kept.y - kept.x) + off)
        if before < math.inf:
            distance = min(distance, L * before + previous + norm(kept.x - last))
        change = changed(regularity, kept.x, u, distance + (off / L if L else off))
        moved_J, moved_B, b = moved_J + change.J, moved_B + change.B, min(b, change.size)
        left += a - u
        rounded, pulled = rounded + norm(u), pulled + norm(u)
        nearest = min(nearest, L * distance + off + norm(y - kept.y))
        before, last, previous = distance, kept.y, off
    adjoint = b * inverse * (norm(left) + ROUNDING * max(eps, seen.J) * rounded)
    adjoint += ROUNDING * max(eps * b, seen.B) * pulled
    equilibrium = direct * nearest + moved_B + b * inverse * (smoothness * nearest + moved_J)
    found = Certificate(size, adjoint, equilibrium, 0.0, b * inverse, nearest, L, True)
    return found.estimate(*_doubts(passed, regularity, y.dtype))


def none(why: str, L: float = math.nan, size: float = math.nan) -> Certificate:
    """No certificate."""
    return Certificate(size, math.inf, math.inf, 0.0, math.inf, math.inf, L, False, why)


def _complete(kept: TapedApplication) -> tuple[Tensor, Tensor]:
    """u and a of one pass; a is made again where the pass left it out."""
    assert kept.u is not None
    if kept.a is not None:
        return kept.u, kept.a
    if kept.map is None:
        raise ValueError(
            "a cotangent ended before the points: use backward(), torch.autograd.grad skips them"
        )
    if kept.stepped:
        raise ValueError(STEPPED)
    return kept.u, CountedProducts([]).through(apply(kept.map, kept.x), kept.u)[0]


def _seen(passed: Sequence[TapedApplication], regularity: DerivativeBounds) -> Rounding:
    """What shaking T shows; nothing where its regularity states its rounding, or bounds nothing anyway."""
    last = passed[-1]
    if not regularity.rigorous or states_rounding(regularity):
        return Rounding()
    if last.rounding is not None:
        return last.rounding
    if last.map is None or last.u is None or last.stepped:
        return Rounding()
    return shake(last.map, apply(last.map, last.x), last.leaves or (), last.u)


def _allowances(
    passed: Sequence[TapedApplication], regularity: DerivativeBounds, seen: Rounding
) -> list[float]:
    """What each application may be off by, at most."""
    eps = torch.finfo(passed[-1].y.dtype).eps
    stated = [told_rounding(regularity, kept.x) for kept in passed]
    if all(told is not None for told in stated):
        return [told for told in stated if told is not None]
    sizes = [norm(kept.y) for kept in passed]
    # In units of the largest value: one application stands for all, whose sizes may differ.
    rough = max(eps * sizes[-1], seen.value)
    return [ROUNDING * rough * max(1.0, size / (sizes[-1] or 1)) for size in sizes]


def _doubts(
    passed: Sequence[TapedApplication], regularity: DerivativeBounds, dtype: torch.dtype
) -> list[str]:
    """Why what was used is no bound by proof."""
    if not regularity.rigorous:
        return ["the constants of T are estimates"]
    unknown = any(kept.leaves is None for kept in passed)
    leaves = None if unknown else list({id(p): p for kept in passed for p in kept.leaves or ()}.values())
    why = [uncovered(regularity, leaves, "T", COVER)]
    if not states_rounding(regularity) and torch.finfo(dtype).eps > torch.finfo(torch.float64).eps:
        name = str(dtype).removeprefix("torch.")
        why.append(
            f"the rounding of T in {name} is not bounded: give its regularity a rounding(x), or use float64"
        )
    if any(kept.stepped for kept in passed):
        why.append(STEPPED)
    return why


def _finite(x: Tensor) -> bool:
    return bool(x.isfinite().all())
