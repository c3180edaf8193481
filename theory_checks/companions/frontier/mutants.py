"""Wrong networks, wrong theory and wrong estimators, each of which a claim must catch."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ...engine import Mutant, mutant
from .simulation import backward_pass, box_counting, forward_pass, landscapes, mean_field, networks, tangents
from .simulation.networks import Architecture, Network
from .simulation.settings import Setting, Window

LAYER, PRE = forward_pass.layer, forward_pass.pre_activation
DRAW, WEIGHTS = networks.draw_network, networks.linear_maps
POINTS, MOMENTS, SLOPE = landscapes.window_nodes, mean_field.next_moments, box_counting.slope


def _redrawn(
    weight: Tensor, bias: Tensor, pair: tuple[Tensor, Tensor], sigmas: Tensor
) -> tuple[Tensor, Tensor]:
    """A layer, in law, whose weights are drawn afresh for every column, but are the same for both inputs."""
    first, second = pair
    generator = networks.generator(int(weight[0, 0].double() * 1e9) % 2**31)
    one, two = (torch.randn(first.shape, generator=generator).to(first) for _ in range(2))
    size, other = first.norm(dim=0), second.norm(dim=0)
    overlap = ((first * second).sum(0) / (size * other)).clamp(-1, 1)
    mixed = overlap * one + (1 - overlap**2).clamp_min(0).sqrt() * two
    scale, shift = sigmas[0] / math.sqrt(len(first)), sigmas[1] * bias[:, None]
    return torch.erf(scale * size * one + shift), torch.erf(scale * other * mixed + shift)


def _other_operator(
    weight: Tensor, bias: Tensor, pair: tuple[Tensor, Tensor], sigmas: Tensor
) -> tuple[Tensor, Tensor]:
    first, second = pair
    return LAYER(weight, bias, first, sigmas[0], sigmas[1]), LAYER(
        weight.flip(0), bias.flip(0), second, sigmas[0], sigmas[1]
    )


def _drawn(change: Callable[[Network], Network]) -> Callable[[Architecture, int, int, int], Network]:
    def draw(architecture: Architecture, width: int, depth: int, seed: int) -> Network:
        return change(DRAW(architecture, width, depth, seed))

    return draw


def _scaled(scale: Callable[[Architecture, int], float]) -> Callable[..., Tensor]:
    def weights(architecture: Architecture, width: int, count: int, generator: torch.Generator) -> Tensor:
        return WEIGHTS(architecture, width, count, generator) * scale(architecture, width)

    return weights


def _tied(network: Network) -> Network:
    return Network(
        network.weights[:1].expand(network.depth, -1, -1), network.biases[:1].expand(network.depth, -1)
    )


def _zero_padded(architecture: Architecture, width: int, count: int, generator: torch.Generator) -> Tensor:
    maps = WEIGHTS(architecture, width, count, generator)
    return maps.tril() if architecture is Architecture.CONV else maps


def _squared_bias(weight: Tensor, bias: Tensor, x: Tensor, sigma_w: Tensor, sigma_b: Tensor) -> Tensor:
    return PRE(weight, bias, x, sigma_w, sigma_b**2)


def _half(weight: Tensor, bias: Tensor, x: Tensor, sigma_w: Tensor, sigma_b: Tensor) -> Tensor:
    activations = LAYER(weight, bias, x, sigma_w, sigma_b)
    return activations.half().to(x.dtype) if x.dtype == torch.float32 else activations


def _before_activation(first: Tensor, second: Tensor) -> Tensor:
    one, two = (torch.erfinv(x.clamp(-1 + 1e-6, 1 - 1e-6)) for x in (first, second))
    return (one - two).square().mean(0)


def _nearly_met(first: Tensor, second: Tensor) -> Tensor:
    """Drops columns whose inputs are within 1e-5 of each other."""
    return ((first - second).abs() > 1e-5).any(0).nonzero()[:, 0]


def _bias_not_squared(q: Tensor, c: Tensor, sigma_w: Tensor, sigma_b: Tensor) -> tuple[Tensor, Tensor]:
    return MOMENTS(q, c, sigma_w, sigma_b.sqrt())


def _half_susceptibility(q: Tensor, sigma_w: Tensor) -> Tensor:
    return sigma_w**2 * (2 / math.pi) / torch.sqrt(1 + 4 * q)


def _edge_without_bias(sigma_b: float) -> float:
    return math.sqrt(math.pi) / 2


def _not_transposed(weight: Tensor, z: Tensor, gradient: Tensor, sigma_w: Tensor) -> Tensor:
    return sigma_w * (weight @ (tangents.erf_derivative(z) * gradient))


def _steepest(setting: Setting, distances: np.ndarray) -> float:
    """The threshold of the largest dimension, as in the authors' notebook."""
    dimensions = {
        t: box_counting.dimension(box_counting.frontier_cells(box_counting.signs(distances, t)))
        for t in np.logspace(-5, 0, 11)
    }
    return max(dimensions, key=lambda t: dimensions[t] if math.isfinite(dimensions[t]) else -math.inf)


def _swapped(window: Window, cells: int) -> Tensor:
    return POINTS(window, cells).flip(0)


MUTANTS: tuple[Mutant, ...] = (
    mutant("weights redrawn for every pixel", forward_pass, "layer_of_pair", _redrawn, "3.6"),
    mutant("the same weights and biases in every layer", networks, "draw_network", _drawn(_tied), "3.3"),
    mutant("W without 1/√N", networks, "linear_maps", _scaled(lambda _, n: math.sqrt(n)), "3.9"),
    mutant(
        "structured maps without √2",
        networks,
        "linear_maps",
        _scaled(lambda a, _: 1 if a is not Architecture.STRUCTURED else 0.5**0.5),
        "3.3",
    ),
    mutant("zero padding in place of circular convolution", networks, "linear_maps", _zero_padded, "3.3"),
    mutant(
        "one bias for all units of a layer",
        networks,
        "draw_network",
        _drawn(lambda n: Network(n.weights, n.biases[:, :1].expand(-1, n.width))),
        "3.3",
    ),
    mutant(
        "the same biases in every layer",
        networks,
        "draw_network",
        _drawn(lambda n: Network(n.weights, n.biases[:1].expand(n.depth, -1))),
        "3.3",
    ),
    mutant("no biases", networks, "draw_network", _drawn(lambda n: Network(n.weights, 0 * n.biases)), "3.9"),
    mutant("σ_b² in place of σ_b in a layer", forward_pass, "pre_activation", _squared_bias, "3.3"),
    mutant("σ_b in place of σ_b² in mean field", mean_field, "next_moments", _bias_not_squared, "3.3"),
    mutant("erf' replaced by 1", tangents, "erf_derivative", torch.ones_like, "3.9"),
    mutant("Wᵀ forgotten in the backward pass", backward_pass, "input_gradient", _not_transposed, "3.9"),
    mutant("χ with 2/π for 4/π", mean_field, "susceptibility", _half_susceptibility, "3.9"),
    mutant("κ = 1: no fluctuation of φ'", mean_field, "kappa", lambda q: 1.0, "3.2"),
    mutant("edge of chaos of σ_b = 0", mean_field, "edge_sigma_w", _edge_without_bias, "3.3"),
    mutant("distance of pre-activations", forward_pass, "squared_distance", _before_activation, "3.3"),
    mutant("inputs given up before they have met", forward_pass, "unmet_columns", _nearly_met, "3.8"),
    mutant("the second input sees other operators", forward_pass, "layer_of_pair", _other_operator, "3.3"),
    mutant("σ_w and σ_b swapped", landscapes, "window_nodes", _swapped, "3.6"),
    mutant("float16 in place of float32", forward_pass, "layer", _half, "3.6"),
    mutant("threshold chosen afterwards", landscapes, "threshold", _steepest, "3.7"),
    mutant(
        "edges are values, not changes of sign",
        box_counting,
        "frontier_cells",
        lambda above: above[:-1, :-1],
        "3.7",
    ),
    mutant("sign of the box-counting slope", box_counting, "slope", lambda x, y: -SLOPE(x, y), "3.7"),
    mutant(
        "boxes larger than the window",
        box_counting,
        "box_sizes",
        lambda cells: tuple(2**j for j in range(12)),
        "3.7",
    ),
)
