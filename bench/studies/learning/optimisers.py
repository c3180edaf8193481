"""Optimisers of a loss with an estimated gradient, as iterators of their steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Evaluate = Callable[[Tensor], tuple[float, Tensor]]
"""``θ -> (ℓ, g)``: the loss and its gradient at a vector θ."""
FIRST = 1e3
"""``‖g‖₁`` of the first gradient that L-BFGS sees: torch's thresholds are absolute, about 1e-10."""


TRIALS = 20
"""Most evaluations of one line search; by default torch makes none in a step of one iteration."""


class Optimiser(Protocol):
    """Makes a sequence of θ: hashable, printable."""

    @property
    def label(self) -> str:
        """Its name in tables."""
        ...

    def steps(self, evaluate: Evaluate, theta: Tensor) -> Iterator[Tensor]:
        """θ after each step, from ``theta``; the sequence ends where no further step helps."""
        ...


@dataclass(frozen=True, slots=True)
class Adam:
    """Adam with torch's defaults.

    Attributes:
        rate: learning rate, in units of θ (log-weights).
    """

    rate: float = 0.15

    @property
    def label(self) -> str:
        """See ``Optimiser.label``."""
        return f"Adam({self.rate:g})"

    def steps(self, evaluate: Evaluate, theta: Tensor) -> Iterator[Tensor]:
        """See ``Optimiser.steps``: endless, one evaluation a step."""
        leaf = theta.clone().requires_grad_()
        adam = torch.optim.Adam([leaf], lr=self.rate)
        while True:
            _, leaf.grad = evaluate(leaf.detach().clone())
            adam.step()
            yield leaf.detach().clone()


@dataclass(frozen=True, slots=True)
class LBFGS:
    """L-BFGS with a line search for the strong Wolfe conditions (torch's), scaled so that only θ has units.

    Attributes:
        history: number of pairs.
    """

    history: int = 10

    @property
    def label(self) -> str:
        """See ``Optimiser.label``."""
        return "L-BFGS"

    def steps(self, evaluate: Evaluate, theta: Tensor) -> Iterator[Tensor]:
        """See ``Optimiser.steps``: a step is an iteration with all trials of its line search.

        Where a line search fails the pairs are forgotten, as in L-BFGS-B; the sequence ends where the next one fails.
        """
        leaf = theta.clone().requires_grad_()
        seen: dict[tuple[float, ...], tuple[float, Tensor]] = {}
        scale = 0.0

        def closure() -> Tensor:
            nonlocal scale
            at = leaf.detach().clone()
            key = tuple(at.tolist())
            if key not in seen:  # torch evaluates once more where the line search ended
                seen[key] = evaluate(at)
            value, gradient = seen[key]
            scale = scale or FIRST / float(gradient.abs().sum() or 1.0)
            leaf.grad = scale * gradient
            return torch.tensor(scale * value, dtype=leaf.dtype)

        moved = True
        while moved:
            moved = False
            lbfgs = self._optimiser(leaf)
            while True:
                before = leaf.detach().clone()
                lbfgs.step(closure)  # pyright: ignore[reportArgumentType]
                if torch.equal(before, leaf.detach()):
                    break
                moved = True
                here = tuple(leaf.tolist())
                for key in [key for key in seen if key != here]:
                    del seen[key]
                yield leaf.detach().clone()

    def _optimiser(self, leaf: Tensor) -> torch.optim.LBFGS:
        return torch.optim.LBFGS(
            [leaf],
            max_iter=1,
            max_eval=TRIALS,
            history_size=self.history,
            line_search_fn="strong_wolfe",
            tolerance_grad=0.0,
            tolerance_change=0.0,
        )
