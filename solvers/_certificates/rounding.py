"""Estimate the rounding of T and of its products by perturbation, if T states no bound of its own.

Every operand and result of an operation is multiplied by ``1 + η ξ``, with standard normal ξ for each entry, and η a
few units of rounding. The change of the value, divided by η in units of rounding, is about what T rounds off. It
includes cancellation, and amplification after it. The backward pass is perturbed by itself, because derivatives may
cancel where values do not, e.g. of a quotient. This is no proof, unlike a stated ``rounding``.

Source: Parker, *Monte Carlo arithmetic* (1997).
"""

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

PERTURBATION = 16.0
"""η, in units of rounding of the dtype."""
DRAWS = 2
"""Perturbed applications and products; the largest change counts."""


@dataclass(frozen=True, slots=True)
class Rounding:
    """Estimated rounding, as norms: of an application, and of the products ``Jᵀu`` and ``Bᵀu`` in units of ``‖u‖``."""

    value: float = 0.0
    J: float = 0.0
    B: float = 0.0


class _Perturbed(TorchDispatchMode):
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
        schema: Any = getattr(func, "_schema", None)
        named = dict(kwargs or {})
        if schema is not None and any(result.alias_info is not None for result in schema.returns):
            return func(*args, **named)  # a view, or a change in place
        return tree_map_only(
            Tensor, self._perturb, func(*tree_map_only(Tensor, self._perturb, tuple(args)), **named)
        )

    def _perturb(self, x: Tensor) -> Tensor:
        if not (x.is_floating_point() or x.is_complex()) or x.layout != torch.strided:
            return x
        real = x.real.dtype if x.is_complex() else x.dtype
        eta = PERTURBATION * torch.finfo(real).eps
        noise = torch.randn(x.shape, generator=self._random, dtype=torch.float64).to(x.device, real)
        return x * (1 + eta * noise)


def estimate_rounding(
    T: Callable[[Tensor], Tensor], tape: TapedMap, leaves: Sequence[Tensor], u: Tensor
) -> Rounding:
    """Estimate the rounding of ``T`` at the point of ``tape``, and of products with the cotangent ``u``.

    Cost: ``DRAWS`` applications, ``DRAWS + 1`` products. The random state of torch is restored.
    """
    J, B = rounding_of_products(tape, leaves, u)
    return Rounding(rounding_of_value(T, tape.x, tape.y), J, B)


def rounding_of_products(tape: TapedMap, leaves: Sequence[Tensor], u: Tensor) -> tuple[float, float]:
    size = norm(u)
    if not size:
        return 0.0, 0.0
    J, B = [0.0], [0.0]
    exact = CountedProducts(leaves).through(tape, u)
    for seed in range(DRAWS):
        with _Perturbed(seed):
            perturbed = CountedProducts(leaves).through(tape, u)
        J.append(norm(perturbed[0] - exact[0]) / PERTURBATION)
        B.append(norm(perturbed[1] - exact[1]) / PERTURBATION)
    return max(J) / size, max(B) / size


def rounding_of_value(T: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> float:
    devices = [x.device] if x.device.type == "cuda" else []
    changes: list[float] = []
    with torch.random.fork_rng(devices), torch.no_grad():
        for seed in range(DRAWS):
            with _Perturbed(seed):
                perturbed = T(x.detach())
            changes.append(norm(perturbed - y.detach()) / PERTURBATION)
    return max(changes)
