"""The equilibrium and the adjoint of the last visit of each sample, from which its next solves start."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ._core.input_checks import type_name

ATTRIBUTE = "sample_index"
"""Attribute of a physics that holds the numbers of the samples of a batch."""
NOBODY = (
    "WarmStarts must know which samples a batch has: call the model with index=…, or set "
    f"physics.{ATTRIBUTE} when the physics is updated for the batch"
)


class WarmStarts:
    """The last equilibrium and the last adjoint of each sample, by its number in the data set.

    Both are starts and no more: a solve from them has the tolerance, and the gradient the accuracy, of a cold one. So
    they may come from other parameters, and from other noise on the same image. An augmentation that moves the image
    makes them worse than a cold start; give each orientation or crop a number of its own, ``8 * i + orientation``, or
    do without. A sample whose start has another shape than at its last visit starts cold, and so does one whose last
    solve was not finite.

    Memory: two states a sample, on ``device``. Nothing of it is in the ``state_dict`` of a model.

    Args:
        device: where states are kept; ``None`` for where they were computed.

    Attributes:
        states: the equilibrium of each sample, without dimension 0.
        adjoints: its adjoint, of the same shape; only for estimators that solve for one.
    """

    def __init__(self, device: torch.device | str | None = "cpu") -> None:
        self.device = device
        self.states: dict[int, Tensor] = {}
        self.adjoints: dict[int, Tensor] = {}
        self._served: Tensor | None = None

    def __len__(self) -> int:
        """Number of samples that have been visited."""
        return len(self.states)

    def starts(self, index: Sequence[int], cold: Tensor) -> tuple[Tensor, Tensor | None]:
        """The starts of a batch.

        Args:
            index: the number of each sample.
            cold: where samples start that were never visited, ``(B, …)``.

        Returns:
            ``x0`` and ``u0`` of a solver, of the shape, dtype and device of ``cold``. ``u0`` is 0 for a sample without
            an adjoint, and ``None`` if there is none for any.
        """
        x0 = torch.stack([_fitting(self.states.get(i), row, row) for i, row in zip(index, cold, strict=True)])
        if not any(i in self.adjoints for i in index):
            return x0, None
        none = torch.zeros_like(cold)
        u0 = [_fitting(self.adjoints.get(i), row, row) for i, row in zip(index, none, strict=True)]
        return x0, torch.stack(u0)

    @torch.no_grad()
    def keep(self, index: Sequence[int], x: Tensor, adjoints: Sequence[Tensor] = ()) -> None:
        """Keep the states ``x`` of a batch, and the last of its adjoints, ``Solution.adjoints``, if there is one.

        Samples whose state is not finite are forgotten.
        """
        u = adjoints[-1] if adjoints else None
        finite = x.flatten(1).isfinite().all(1).tolist()
        for row, (i, known) in enumerate(zip(index, finite, strict=True)):
            self.states.pop(i, None)
            self.adjoints.pop(i, None)
            if known:
                self.states[i] = self._copy(x[row])
                if u is not None:
                    self.adjoints[i] = self._copy(u[row])

    def state_dict(self) -> dict[str, dict[int, Tensor]]:
        """What ``load_state_dict`` needs, for a checkpoint that is to continue warm; tensors are shared."""
        return {"states": dict(self.states), "adjoints": dict(self.adjoints)}

    def load_state_dict(self, state: Mapping[str, Mapping[int, Tensor]]) -> None:
        """Go on from a ``state_dict``, as ``torch.load(weights_only=True)`` reads it."""
        self.states, self.adjoints = dict(state["states"]), dict(state["adjoints"])

    def handed_over(self, physics: Any) -> Tensor | None:
        """The numbers that arrived with the measurements, ``physics.sample_index``; ``None`` at a second look.

        They serve one solve: a loss that calls the model again, on other measurements, would find the states of these.

        Raises:
            ValueError: the physics has no such attribute.
        """
        if not hasattr(physics, ATTRIBUTE):
            raise ValueError(NOBODY)
        index = getattr(physics, ATTRIBUTE)
        if index is None:
            warnings.warn(f"physics.{ATTRIBUTE} is None, so this batch starts cold: {NOBODY}", stacklevel=4)
        elif not isinstance(index, Tensor):
            raise ValueError(f"physics.{ATTRIBUTE} must be a Tensor of integers, not {type_name(index)}")
        seen, self._served = self._served, index
        return None if index is seen else index

    def _copy(self, row: Tensor) -> Tensor:
        # A view keeps the storage of the whole batch alive.
        return row.detach().to(self.device or row.device, copy=True)


def numbers(index: Tensor, samples: int) -> list[int]:
    """Check the numbers of a batch of so many samples. Raises ``ValueError``."""
    integers = not (index.is_floating_point() or index.is_complex() or index.dtype == torch.bool)
    if not integers or index.numel() != samples:
        raise ValueError(
            f"the index of a batch of {samples} must have {samples} integers, not the shape {tuple(index.shape)} "
            f"and {index.dtype}"
        )
    return [int(i) for i in index.flatten().tolist()]


def _fitting(known: Tensor | None, like: Tensor, otherwise: Tensor) -> Tensor:
    return otherwise if known is None or known.shape != like.shape else known.to(like)
