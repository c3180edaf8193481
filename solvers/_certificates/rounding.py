"""What T rounds off on both ways, as seen by shaking it: an allowance, where T states no bound of its own.

Every operand and every result of an operation is multiplied by ``1 + η ξ``, with standard normal ξ for each entry and
η of a few units of the last place; what T moves by, divided by what it was shaken by, is about what it rounds off.
Cancellation is seen in this way, and what is scaled up after it. The way back is shaken by itself: the derivative of a
quotient may cancel where the quotient does not. It is no proof: a ``rounding`` that T's regularity states is.

Source: Parker, *Monte Carlo arithmetic* (1997).
"""

# Dispatch modes carry no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from .._core.batch import norm
from .estimated_bounds import CountedProducts
from .products import TapedMap

SHAKEN = 16.0
"""η, in units of the rounding of the dtype."""
DRAWS = 2
"""Applications, of which the one that moves furthest counts, and products."""


@dataclass(frozen=True, slots=True)
class Rounding:
    """About what is rounded off at a point, in the norm.

    Attributes:
        value: by an application.
        J, B: by the products ``Jᵀu`` and ``Bᵀu``, in units of ``‖u‖``.
    """

    value: float = 0.0
    J: float = 0.0
    B: float = 0.0


class _Shaking(TorchDispatchMode):
    """Shakes all that is computed inside."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = torch.Generator().manual_seed(seed)

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """One operation."""
        schema: Any = getattr(func, "_schema", None)
        named = dict(kwargs or {})
        if schema is not None and any(made.alias_info is not None for made in schema.returns):
            return func(*args, **named)  # a view, or a change in place
        return tree_map_only(
            Tensor, self._shaken, func(*tree_map_only(Tensor, self._shaken, tuple(args)), **named)
        )

    def _shaken(self, x: Tensor) -> Tensor:
        if not (x.is_floating_point() or x.is_complex()) or x.layout != torch.strided:
            return x
        real = x.real.dtype if x.is_complex() else x.dtype
        eta = SHAKEN * torch.finfo(real).eps
        noise = torch.randn(x.shape, generator=self._random, dtype=torch.float64).to(x.device, real)
        return x * (1 + eta * noise)


def shake(T: Callable[[Tensor], Tensor], tape: TapedMap, leaves: Sequence[Tensor], u: Tensor) -> Rounding:
    """About what ``T`` rounds off at the point of ``tape``, and what its products with the cotangent ``u`` do.

    It costs ``DRAWS`` applications and one product more than that. The random state stays as it was.
    """
    J, B = shaken_products(tape, leaves, u)
    return Rounding(shaken_value(T, tape.x, tape.y), J, B)


def shaken_products(tape: TapedMap, leaves: Sequence[Tensor], u: Tensor) -> tuple[float, float]:
    """About what ``Jᵀu`` and ``Bᵀu``, with B in ``leaves``, round off on the way back through ``tape``, per ``‖u‖``."""
    size = norm(u)
    if not size:
        return 0.0, 0.0
    moved_J, moved_B = [0.0], [0.0]
    a, B = CountedProducts(leaves).through(tape, u)
    for seed in range(DRAWS):
        with _Shaking(seed):
            there = CountedProducts(leaves).through(tape, u)
        moved_J.append(norm(there[0] - a) / SHAKEN)
        moved_B.append(norm(there[1] - B) / SHAKEN)
    return max(moved_J) / size, max(moved_B) / size


def shaken_value(T: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> float:
    """About what ``y = T(x)`` rounds off, in the norm: ``DRAWS`` applications. The random state stays as it was."""
    devices = [x.device] if x.device.type == "cuda" else []
    moved: list[float] = []
    with torch.random.fork_rng(devices), torch.no_grad():
        for seed in range(DRAWS):
            with _Shaking(seed):
                there = T(x.detach())
            moved.append(norm(there - y.detach()) / SHAKEN)
    return max(moved)
