"""The architectures that the project trains and ships: compact versions of two of deepinv's denoisers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from deepinv.models import DnCNN, DRUNet
from torch import Tensor, nn

SIGMA_0 = 25 / 255
"""The noise level that a blind network is trained for, on images that are scaled to it."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network that can be trained here.

    Attributes:
        kind: ``DRUNet`` or ``DnCNN``, of deepinv.
        channels: 1 or 3.
        lipschitz: bound on the Lipschitz constant of the residual ``x − D(x)``; ``None`` for no control.
        blind: it takes no noise level.
    """

    kind: type[nn.Module]
    channels: int
    lipschitz: float | None = None

    @property
    def blind(self) -> bool:
        """Whether the network takes no noise level."""
        return self.kind is DnCNN

    def build(self) -> nn.Module:
        """The network with its initial weights, in training mode."""
        if self.kind is DRUNet:
            network = DRUNet(self.channels, self.channels, nc=(24, 48, 64, 64), nb=2, pretrained=None)
            _pass_through(network, self.channels)
            return network
        network = DnCNN(self.channels, self.channels, depth=6, nf=32, pretrained=None, device=None)  # pyright: ignore[reportArgumentType]
        if self.lipschitz is not None:
            _isometry(network)
        return network


ARCHITECTURES = {
    "drunet_grey": Architecture(DRUNet, 1),
    "drunet_colour": Architecture(DRUNet, 3),
    "dncnn_grey": Architecture(DnCNN, 1, lipschitz=0.99),
}


def architecture(family: str, channels: int) -> str:
    """The name of the shipped network of a family, for 1 or 3 channels."""
    return f"{family}_{'grey' if channels == 1 else 'colour'}"


def _pass_through(network: DRUNet, channels: int) -> None:
    """Let the outer skip connection carry the image from the start: training need not find the identity."""
    head, tail = network.m_head, network.m_tail
    assert isinstance(head, nn.Conv2d)
    assert isinstance(tail, nn.Conv2d)
    with torch.no_grad():
        for c in range(channels):
            for weight in (head.weight, tail.weight):
                weight[c] = 0
                weight[c, c, 1, 1] = 1


def _isometry(network: DnCNN) -> None:
    """Start a grey chain from layers of norm 1 that lose nothing they need.

    Random layers that are scaled down to norm 1 shrink a signal a thousandfold in six layers, and a training that
    may not raise their norms never recovers. Here the first layer analyses with the eight 3 × 3 cosine filters of
    zero mean, a tight frame on what is not smooth, each twice and in both signs, since ReLU keeps one; the inner
    layers pass on; the last synthesises. So the residual starts as a high-pass filter of norm 1. A little noise
    tells the copies apart.
    """
    k = torch.arange(3, dtype=torch.float64)
    cosines = torch.cos(torch.pi * (2 * k + 1) * k[:, None] / 6)
    cosines = cosines / torch.linalg.vector_norm(cosines, dim=1, keepdim=True)
    filters = torch.einsum("ai,bj->abij", cosines, cosines).reshape(9, 1, 3, 3)[1:].repeat(2, 1, 1, 1)
    # Σ|f̂|² over an orthonormal basis of 3 × 3 filters is 9; two copies and two signs make it 36.
    filters = torch.cat([filters, -filters]) / 6
    first, last = network.in_conv, network.out_conv
    with torch.no_grad():
        for layer in convolutions(network):
            layer.weight.normal_(0, 1e-3)
            assert layer.bias is not None
            layer.bias.zero_()
        first.weight += filters
        last.weight -= filters.flip(2, 3).transpose(0, 1)
        for layer in convolutions(network.conv_list):
            layer.weight[range(32), range(32), 1, 1] += 1


def convolutions(network: nn.Module) -> Iterator[nn.Conv2d]:
    """The convolutions of a plain chain such as DnCNN, in any order."""
    return (layer for layer in network.modules() if isinstance(layer, nn.Conv2d))


def convolution_norm(weight: Tensor, grid: int = 32) -> float:
    """An upper bound on the norm of a zero-padded convolution, on images of every size.

    Padding with zeros and cropping is a compression of the convolution on the whole plane, whose norm is the
    supremum over frequencies of the spectral norm of its symbol; a circular convolution samples that symbol. For
    fixed unit vectors the symbol is a trigonometric polynomial of degree d = (k − 1)/2 a direction (after a
    shift, which changes no modulus), and its supremum is at most its maximum on N > 2d points divided by
    ``cos(π d / N)``, once for each direction (Ehlich and Zeller, *Math. Z.* 86, 1964).

    Args:
        weight: ``(out, in, k, k)``, k odd.
        grid: N > 2d, the number of frequencies in each direction.

    Returns:
        A bound that exceeds the norm by a factor of at most ``cos(π d / N)⁻²``.
    """
    degree = max(weight.shape[-2:]) // 2
    symbol = torch.fft.fft2(weight.detach().double(), s=(grid, grid))[..., : grid // 2 + 1]
    largest = torch.linalg.matrix_norm(symbol.permute(2, 3, 0, 1), ord=2).max()
    return float(largest) / math.cos(math.pi * degree / grid) ** 2


def residual_lipschitz(network: nn.Module, grid: int = 64) -> float:
    """A bound on the Lipschitz constant of DnCNN's residual ``x − D(x)``: the product over its layers (ReLU has 1).

    It holds for zero padding and for circular padding, on images of every size.
    """
    return math.prod(convolution_norm(layer.weight, grid) for layer in convolutions(network))


def limit_lipschitz(network: nn.Module, bound: float, grid: int = 64) -> None:
    """Scale every layer whose norm exceeds its share of ``bound``; then ``residual_lipschitz`` is at most that."""
    layers = list(convolutions(network))
    share = bound ** (1 / len(layers))
    with torch.no_grad():
        for layer in layers:
            layer.weight.mul_(min(1.0, share / convolution_norm(layer.weight, grid)))


class Limiter(nn.Module):
    """Keeps a chain near a bound during a training, at a fraction of the cost of ``limit_lipschitz``.

    At every frequency of a coarse grid it keeps a vector and improves it by power iteration as the weights move. The
    norms that it finds are from below, so the last word is ``limit_lipschitz``'s; but weights that were free between
    two rare checks were seen to outgrow the bound twofold, and to lose as much when they were scaled back.

    Args:
        network: the chain.
        bound: on ``residual_lipschitz``.
        grid: frequencies in each direction.
    """

    def __init__(self, network: nn.Module, bound: float, grid: int = 24) -> None:
        super().__init__()
        self.layers = list(convolutions(network))  # not a ModuleList: they are the network's
        self.share = bound ** (1 / len(self.layers))
        self.grid = grid
        for k, layer in enumerate(self.layers):
            inputs = layer.in_channels
            start = torch.randn(grid, grid // 2 + 1, inputs, 1, generator=torch.Generator().manual_seed(k))
            self.register_buffer(f"vectors{k}", start.to(layer.weight.device, torch.complex64))

    def limit(self, rounds: int = 2) -> None:
        """Improve the vectors by ``rounds`` of power iteration, and scale the layers that exceed their share."""
        with torch.no_grad():
            for k, layer in enumerate(self.layers):
                symbol = torch.fft.fft2(layer.weight.float(), s=(self.grid, self.grid))[
                    ..., : self.grid // 2 + 1
                ]
                symbol = symbol.permute(2, 3, 0, 1)
                vectors = self.get_buffer(f"vectors{k}")
                for _ in range(rounds):
                    vectors = torch.nn.functional.normalize(symbol.mH @ (symbol @ vectors), dim=-2)
                self.get_buffer(f"vectors{k}").copy_(vectors)
                norm = torch.linalg.vector_norm(symbol @ vectors, dim=-2).max()
                layer.weight.mul_(float((self.share / norm).clamp(max=1)))
