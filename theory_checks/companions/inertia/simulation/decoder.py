"""deepinv's ``ConvDecoder`` as the theory requires: no batch norm, a smooth activation, parameters as one vector."""

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
"""Height and width of the decoder's input."""


def _gain(activation: type[nn.Module]) -> float:
    """The gain that keeps the variance of small signals from layer to layer."""
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
        network: the module; its own weights are not used.
        u: input, shape ``(1, channels, 4, 4)``.
        shapes: shapes of the parameters by name, in their order in θ.
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
        channels, layers: size of the decoder.
        activation: replaces its ReLUs; the theory covers ``nn.Tanh``, not ``nn.ReLU``.
        seed: seed of weights and input.
        device: device of the tensors.
    """
    network = ConvDecoder((1, size, size), in_size=START, layers=layers, channels=channels)
    _replaced(network, activation)
    network = network.to(F64)
    source, parts = generator(seed), []
    named = dict(network.named_parameters())
    for name, parameter in named.items():
        if parameter.dim() > 1:
            spread = _gain(activation) / math.sqrt(parameter[0].numel())
            parts.append(spread * torch.randn(parameter.shape, generator=source, dtype=F64))
        else:
            parts.append(torch.full_like(parameter, 0.5 if name == list(named)[-1] else 0.0).detach())
    u = torch.randn(1, channels, *START, generator=source, dtype=F64)
    # The last layer starts small, so that the first image is nearly grey.
    parts[-2] = parts[-2] / 100
    theta = torch.cat([part.flatten() for part in parts])
    shapes = {name: parameter.shape for name, parameter in named.items()}
    return Decoder(network.to(device), u.to(device), shapes), theta.to(device)
