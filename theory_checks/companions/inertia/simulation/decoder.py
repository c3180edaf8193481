"""deepinv's decoder as the theory asks for it: no batch norm, a smooth activation, parameters in a vector."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from deepinv.models import ConvDecoder
from torch import Tensor, nn
from torch.func import functional_call

from .activations import F64
from .problem import generator

START = (4, 4)
"""Pixels of the decoder's input."""


def _gain(activation: type[nn.Module]) -> float:
    """Keeps the size of small signals from layer to layer."""
    return math.sqrt(2) if activation is nn.ReLU else 1.0


def _replaced(module: nn.Module, activation: type[nn.Module]) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, nn.Identity())
        elif isinstance(child, nn.ReLU):
            setattr(module, name, activation())
        else:
            _replaced(child, activation)


@dataclass(frozen=True, slots=True)
class Decoder:
    """A generator ``g(u, θ)`` of an image.

    Attributes:
        network: with weights that are not used.
        u: its input, shape ``(1, channels, 4, 4)``.
        shapes: of its parameters, by name, in the order in which θ has them.
    """

    network: nn.Module
    u: Tensor
    shapes: dict[str, torch.Size]

    def image(self, theta: Tensor) -> Tensor:
        """The image of parameters θ, shapes ``(p,)`` and ``(1, 1, size, size)``."""
        parts = theta.split([shape.numel() for shape in self.shapes.values()])
        named = {
            name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }
        return functional_call(self.network, named, (self.u,))


def decoder(
    size: int, channels: int, layers: int, activation: type[nn.Module], seed: int, device: str
) -> tuple[Decoder, Tensor]:
    """A decoder and its θ0, float64: weights normal with variance gain²/fan-in, biases 0, the last one ½.

    Args:
        size: pixels a side.
        channels, layers: of the decoder.
        activation: in place of its ReLUs: ``nn.Tanh`` is within the theory, ``nn.ReLU`` is not.
        seed: of weights and input.
        device: where the tensors lie.
    """
    network = ConvDecoder((1, size, size), in_size=START, layers=layers, channels=channels)
    _replaced(network, activation)
    network = network.to(F64)
    source, drawn = generator(seed), []
    named = dict(network.named_parameters())
    for name, parameter in named.items():
        if parameter.dim() > 1:
            spread = _gain(activation) / math.sqrt(parameter[0].numel())
            drawn.append(spread * torch.randn(parameter.shape, generator=source, dtype=F64))
        else:
            drawn.append(torch.full_like(parameter, 0.5 if name == list(named)[-1] else 0.0).detach())
    u = torch.randn(1, channels, *START, generator=source, dtype=F64)
    # The last layer starts small, so that the first image is nearly grey.
    drawn[-2] = drawn[-2] / 100
    theta = torch.cat([part.flatten() for part in drawn])
    shapes = {name: parameter.shape for name, parameter in named.items()}
    return Decoder(network.to(device), u.to(device), shapes), theta.to(device)
