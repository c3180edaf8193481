"""Two inputs through one network at many (σ_w, σ_b) at once, streamed over chunks of them.

A point of the plane is a column, so that a layer is one product of matrices for a whole chunk. Memory is that of a
chunk, whatever the number of points.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from . import forward_pass
from .networks import Network

PAD = 48
"""Columns come in multiples of it: a product of matrices rounds the columns of a ragged end differently, and 48 is a
multiple of what vector units take at once (4, 6, 8, 12, 16)."""
CHECK_EVERY = 20
"""Layers between two looks for columns whose inputs have met."""


@dataclass(frozen=True, slots=True)
class Computation:
    """How a landscape is computed.

    Attributes:
        device: of the products.
        dtype: of the products.
        chunk: columns at once, a multiple of ``PAD``.
    """

    device: str
    dtype: torch.dtype
    chunk: int


def layer(weight: Tensor, bias: Tensor, x: Tensor, sigma_w: Tensor, sigma_b: Tensor) -> Tensor:
    """``erf(σ_w W x + σ_b b)`` for columns x, each with its own σ: ``(N, P)``."""
    z = forward_pass.pre_activation(weight, bias, x, sigma_w, sigma_b)
    return torch.erf(z, out=z)


def pre_activation(weight: Tensor, bias: Tensor, x: Tensor, sigma_w: Tensor, sigma_b: Tensor) -> Tensor:
    """``σ_w W x + σ_b b``: ``(N, P)``."""
    return torch.mm(weight, x).mul_(sigma_w).addcmul_(bias[:, None], sigma_b[None])


def layer_of_pair(
    weight: Tensor, bias: Tensor, pair: tuple[Tensor, Tensor], at: Tensor
) -> tuple[Tensor, Tensor]:
    """A layer of both inputs: the same weights and biases.

    Two products, not one of all columns: a column then has the same place in both, and inputs that have met, to the
    last bit, stay together.

    Args:
        pair: ``(N, P)`` each.
        at: σ_w and σ_b of the columns, ``(2, P)``.
    """
    first, second = (forward_pass.layer(weight, bias, x, at[0], at[1]) for x in pair)
    return first, second


def squared_distance(first: Tensor, second: Tensor) -> Tensor:
    """``‖x₁ − x₂‖²/N`` of the columns, in their own precision."""
    return (first - second).square_().mean(0)


def network_distances(
    network: Network, inputs: Tensor, at: Tensor, depths: tuple[int, ...], means: Computation
) -> Tensor:
    """Squared distances of the two inputs, over N, after some layers.

    Args:
        network: of ``depths[-1]`` layers at least.
        inputs: ``(N, 2)``.
        at: σ_w and σ_b of the points, ``(2, P)``.
        depths: increasing, from 1; post-activations of these layers.

    Returns:
        ``(len(depths), P)``, in ``means.dtype`` on the CPU.
    """
    short = Network(network.weights[: depths[-1]], network.biases[: depths[-1]])
    moved = short.to(means.device)
    start = inputs.to(means.device, means.dtype)
    found = torch.empty(len(depths), at.shape[1], dtype=means.dtype)
    for begin in range(0, at.shape[1], means.chunk):
        part = at[:, begin : begin + means.chunk]
        there = padded(part).to(means.device, means.dtype)
        distances = _chunk(moved, start, there, depths)
        found[:, begin : begin + means.chunk] = distances[:, : part.shape[1]].cpu()
    return found


def padded(at: Tensor) -> Tensor:
    """Columns up to the next multiple of ``PAD``, by repeating the last."""
    missing = -at.shape[1] % PAD
    return torch.cat([at, at[:, -1:].expand(-1, missing)], dim=1)


def _chunk(network: Network, start: Tensor, at: Tensor, depths: tuple[int, ...]) -> Tensor:
    """``landscape`` of points that fit into memory. Columns whose inputs have met are not computed further."""
    columns = at.shape[1]
    first, second = (start[:, i : i + 1].expand(-1, columns).contiguous() for i in (0, 1))
    found = torch.zeros(len(depths), columns, dtype=at.dtype, device=at.device)
    live = torch.arange(columns, device=at.device)
    for depth in range(1, depths[-1] + 1):
        weight, bias = network.weights[depth - 1].to(at.dtype), network.biases[depth - 1].to(at.dtype)
        first, second = forward_pass.layer_of_pair(weight, bias, (first, second), at)
        if depth in depths:
            found[depths.index(depth), live] = forward_pass.squared_distance(first, second)
        if depth % CHECK_EVERY == 0:
            kept = forward_pass.unmet_columns(first, second)
            if len(kept) == 0:
                break
            if len(kept) <= 0.8 * len(live):
                live, at = live[kept], at[:, kept].contiguous()
                first, second = first[:, kept], second[:, kept]
    return found


def unmet_columns(first: Tensor, second: Tensor) -> Tensor:
    """Indices of the columns that still differ, and a few others that make up a multiple of ``PAD``."""
    differs = (first != second).any(0)
    alive = int(differs.sum())
    wanted = min(alive + -alive % PAD, len(differs)) if alive else 0
    # A stable sort puts the live ones first, in their order.
    return torch.argsort(~differs, stable=True)[:wanted].sort().values
