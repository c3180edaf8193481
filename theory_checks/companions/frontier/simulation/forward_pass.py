"""Two inputs through one network at many points (σ_w, σ_b), in chunks of points.

Each point is a column, so that a layer is one matrix product for a whole chunk. Memory is that of a chunk, whatever the
number of points.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from . import forward_pass
from .networks import Network

PAD = 48
"""The number of columns is a multiple of it: a matrix product may round the last, incomplete block of columns
differently, and 48 is a multiple of the usual block sizes (4, 6, 8, 12, 16)."""
CHECK_EVERY = 20
"""Layers between two searches for columns whose inputs have met."""


@dataclass(frozen=True, slots=True)
class Computation:
    """How a landscape is computed.

    Attributes:
        device, dtype: device and dtype of the matrix products.
        chunk: columns of one product, a multiple of ``PAD``.
    """

    device: str
    dtype: torch.dtype
    chunk: int


def layer(weight: Tensor, bias: Tensor, x: Tensor, sigma_w: Tensor, sigma_b: Tensor) -> Tensor:
    """``erf(σ_w W x + σ_b b)``, ``(N, P)``, for columns x, each with its own σ_w and σ_b."""
    z = forward_pass.pre_activation(weight, bias, x, sigma_w, sigma_b)
    return torch.erf(z, out=z)


def pre_activation(weight: Tensor, bias: Tensor, x: Tensor, sigma_w: Tensor, sigma_b: Tensor) -> Tensor:
    """``σ_w W x + σ_b b``: ``(N, P)``."""
    return torch.mm(weight, x).mul_(sigma_w).addcmul_(bias[:, None], sigma_b[None])


def layer_of_pair(
    weight: Tensor, bias: Tensor, pair: tuple[Tensor, Tensor], sigmas: Tensor
) -> tuple[Tensor, Tensor]:
    """One layer applied to both inputs, with the same weights and biases.

    Two products instead of one over all columns: a column then has the same position in both, is rounded alike, and
    inputs that have met to the last bit stay together.

    Args:
        pair: ``(N, P)`` each.
        sigmas: σ_w and σ_b of the columns, ``(2, P)``.
    """
    first, second = (forward_pass.layer(weight, bias, x, sigmas[0], sigmas[1]) for x in pair)
    return first, second


def squared_distance(first: Tensor, second: Tensor) -> Tensor:
    """``‖x₁ − x₂‖²/N`` of the columns, in their own precision."""
    return (first - second).square_().mean(0)


def network_distances(
    network: Network, inputs: Tensor, sigmas: Tensor, depths: tuple[int, ...], computation: Computation
) -> Tensor:
    """Squared distances over N of the two inputs, after the layers ``depths``.

    Args:
        network: a network of at least ``depths[-1]`` layers.
        inputs: ``(N, 2)``.
        sigmas: σ_w and σ_b of the points, ``(2, P)``.
        depths: increasing, from 1; post-activations of these layers.

    Returns:
        ``(len(depths), P)``, in ``computation.dtype``, on the CPU.
    """
    short = Network(network.weights[: depths[-1]], network.biases[: depths[-1]])
    local = short.to(computation.device)
    start = inputs.to(computation.device, computation.dtype)
    distances = torch.empty(len(depths), sigmas.shape[1], dtype=computation.dtype)
    for begin in range(0, sigmas.shape[1], computation.chunk):
        points = sigmas[:, begin : begin + computation.chunk]
        columns = padded(points).to(computation.device, computation.dtype)
        chunk = _chunk(local, start, columns, depths)
        distances[:, begin : begin + computation.chunk] = chunk[:, : points.shape[1]].cpu()
    return distances


def padded(sigmas: Tensor) -> Tensor:
    """``sigmas`` extended to a multiple of ``PAD`` columns by repeating the last."""
    missing = -sigmas.shape[1] % PAD
    return torch.cat([sigmas, sigmas[:, -1:].expand(-1, missing)], dim=1)


def _chunk(network: Network, start: Tensor, sigmas: Tensor, depths: tuple[int, ...]) -> Tensor:
    """``network_distances`` of one chunk; columns whose inputs have met are dropped, for they stay at distance 0."""
    columns = sigmas.shape[1]
    first, second = (start[:, i : i + 1].expand(-1, columns).contiguous() for i in (0, 1))
    distances = torch.zeros(len(depths), columns, dtype=sigmas.dtype, device=sigmas.device)
    live = torch.arange(columns, device=sigmas.device)
    for depth in range(1, depths[-1] + 1):
        weight, bias = network.weights[depth - 1].to(sigmas.dtype), network.biases[depth - 1].to(sigmas.dtype)
        first, second = forward_pass.layer_of_pair(weight, bias, (first, second), sigmas)
        if depth in depths:
            distances[depths.index(depth), live] = forward_pass.squared_distance(first, second)
        if depth % CHECK_EVERY == 0:
            unmet = forward_pass.unmet_columns(first, second)
            if len(unmet) == 0:
                break
            if len(unmet) <= 0.8 * len(live):
                live, sigmas = live[unmet], sigmas[:, unmet].contiguous()
                first, second = first[:, unmet], second[:, unmet]
    return distances


def unmet_columns(first: Tensor, second: Tensor) -> Tensor:
    """Indices of the columns that still differ, filled up with others to a multiple of ``PAD``."""
    differs = (first != second).any(0)
    alive = int(differs.sum())
    count = min(alive + -alive % PAD, len(differs)) if alive else 0
    # A stable sort puts the columns that differ first, in their order.
    return torch.argsort(~differs, stable=True)[:count].sort().values
