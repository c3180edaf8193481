"""An iteration at the same numbers in its own dtype and in float64, and what that says of its rounding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .proximal import norm


class _Iteration(nn.Module):
    """``x -> iterate(x)``, which uses the parameters of ``model``."""

    def __init__(self, model: nn.Module, iterate: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.model, self.iterate = model, iterate

    def forward(self, x: Tensor) -> Tensor:
        return self.iterate(x)


@dataclass(frozen=True, slots=True, eq=False)
class PromotedIteration:
    """``x -> T(x)`` on float64 states, by a copy in float64 of the model of T.

    The copy is computed with the parameters of T, which are promoted without rounding and are the leaves of the tape.

    Attributes:
        model: whose parameters are those of T.
        own: ``x -> T(x)`` in the dtype of ``model``.
        wide: the copy in float64, with parameters of the same names.
        exact: ``x -> T(x)`` on float64 states, which uses those of ``wide``.
    """

    model: nn.Module
    own: Callable[[Tensor], Tensor]
    wide: nn.Module
    exact: Callable[[Tensor], Tensor]

    def __call__(self, x: Tensor) -> Tensor:
        """``T(x)``."""
        leaves = {f"model.{name}": leaf.double() for name, leaf in self.model.named_parameters()}
        return functional_call(_Iteration(self.wide, self.exact), leaves, (x,))

    def rounding(self, x: Tensor, allowance: float) -> float:
        """A bound on what an application in the dtype of ``x`` rounds off, given that of one in float64.

        Below float64 the distance to float64 is measured and doubled, since another order of a sum has another error.
        That costs two applications.
        """
        if x.dtype == torch.float64:
            return allowance
        exact = self.exact(x.double())
        return 2 * norm(self.own(x).double() - exact) + torch.finfo(x.dtype).eps * norm(exact) + allowance


def moved(own: Tensor, exact: Tensor, size: Tensor) -> Tensor:
    """How far a value computed below float64 may be from the one in float64, entry by entry.

    Another order of a sum has another error: a few units of ``size``, a bound on the entries it is made of.
    """
    return (own.double() - exact).abs() + 16 * torch.finfo(own.dtype).eps * size
