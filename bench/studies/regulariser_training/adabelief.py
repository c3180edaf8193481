"""AdaBelief: Adam with the variance of the gradient about its running mean in place of its second moment."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


class AdaBelief(torch.optim.Optimizer):
    """``θ ← θ − lr m̂ / (√ŝ + eps)``, m and s running means of g and ``(g − m)² + eps``, corrected for their start.

    Source: Zhuang et al., *AdaBelief optimizer* (arXiv 2010.07468), algorithm 2.

    Args:
        params: parameters, or groups of them.
        lr: learning rate.
        betas: factors of the running means, in [0, 1).
        eps: keeps the step finite where a gradient does not change.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take a step from the gradients in the parameters."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group)

    def _move(self, parameter: nn.Parameter, gradient: Tensor, group: dict[str, Any]) -> None:
        (first, second), eps = group["betas"], group["eps"]
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            state["mean"] = torch.zeros_like(parameter)
            state["spread"] = torch.zeros_like(parameter)
        state["step"] += 1
        mean, spread = state["mean"], state["spread"]
        mean.lerp_(gradient, 1 - first)
        deviation = gradient - mean
        spread.mul_(second).addcmul_(deviation, deviation, value=1 - second).add_(eps)
        size = (spread / (1 - second ** state["step"])).sqrt().add_(eps)
        rate = group["lr"] / (1 - first ** state["step"])
        if not math.isfinite(rate):
            raise ValueError(f"the learning rate must be finite, not {rate}")
        parameter.addcdiv_(mean, size, value=-rate)
