"""Compact versions of deepinv's networks, their training from a good start, and certified Lipschitz constants."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from deepinv.models import DnCNN, DRUNet
from deepinv.models.GSPnP import GSPnP
from torch import Tensor, nn

COMPACT = (24, 48, 64, 64)
"""Channels of the scales of a compact DRUNet."""
SIGMA_0 = 25 / 255
"""Noise level for which a network without a noise-level input is trained, in units of the peak."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network that the project can train: deepinv's ``DRUNet`` or ``DnCNN``.

    ``lipschitz`` bounds the Lipschitz constant of the residual ``x − D(x)``; ``None`` for no bound.
    """

    kind: type[nn.Module]
    channels: int
    lipschitz: float | None = None

    @property
    def blind(self) -> bool:
        """Whether the network has no noise-level input."""
        return self.kind is DnCNN

    def build(self) -> nn.Module:
        """The network with its initial weights, in training mode."""
        if self.kind is DRUNet:
            network = DRUNet(self.channels, self.channels, nc=COMPACT, nb=2, pretrained=None)
            _pass_image(network, self.channels)
            return network
        network = DnCNN(self.channels, self.channels, depth=6, nf=32, pretrained=None, device=None)  # pyright: ignore[reportArgumentType]
        if self.lipschitz is not None:
            _start_as_high_pass(network)
        return network


ARCHITECTURES = {
    "drunet_grey": Architecture(DRUNet, 1),
    "drunet_colour": Architecture(DRUNet, 3),
    "dncnn_grey": Architecture(DnCNN, 1, lipschitz=0.99),
}
"""By the names of the shipped weight files."""


class GradientStep(GSPnP):
    """``D = I − ∇g`` with ``g(x) = ½‖x − N(x)‖²``, N a DRUNet with ``widths`` channels in its scales.

    deepinv's own gradient is computed in float32, and detached in evaluation mode.
    """

    def __init__(self, channels: int, widths: tuple[int, int, int, int]) -> None:
        # Two residual blocks a scale and smooth activations, as published.
        super().__init__(DRUNet(channels, channels, nc=widths, nb=2, act_mode="E", pretrained=None))

    def potential_grad(self, x: Tensor, sigma: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """``∇g(x) = x − N(x) − J_N(x)ᵀ (x − N(x))``, in the dtype of ``x``; differentiable if grad is enabled."""
        denoised, vjp, *_ = torch.func.vjp(lambda z: self.student_grad(z, sigma), x)
        residual = x - denoised
        return self.alpha * (residual - vjp(residual)[0])


def _pass_image(network: DRUNet, channels: int) -> None:
    """Let the outer skip connection carry the image from the start: training need not find the identity."""
    head, tail = network.m_head, network.m_tail
    assert isinstance(head, nn.Conv2d)
    assert isinstance(tail, nn.Conv2d)
    with torch.no_grad():
        for c in range(channels):
            for weight in (head.weight, tail.weight):
                weight[c] = 0
                weight[c, c, 1, 1] = 1


def _start_as_high_pass(network: DnCNN) -> None:
    """Initialise a grey DnCNN such that its residual is a high-pass filter of norm 1.

    Random layers scaled to norm 1 shrink a signal a thousandfold in six layers, and a training that may not raise their
    norms never recovers. Here the first layer analyses with the eight 3 × 3 cosine filters of zero mean, a tight frame,
    each twice and with both signs, since ReLU drops one sign. Inner layers are identities, and the last synthesises. A
    little noise makes the copies differ.
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
    """The convolutions of a plain chain such as DnCNN, in no particular order."""
    return (layer for layer in network.modules() if isinstance(layer, nn.Conv2d))


def _symbol(weight: Tensor, grid: int) -> Tensor:
    """The symbol of a convolution on half of a ``grid × grid`` of frequencies, ``(grid, grid/2 + 1, out, in)``."""
    return torch.fft.fft2(weight, s=(grid, grid))[..., : grid // 2 + 1].permute(2, 3, 0, 1)


def convolution_norm(weight: Tensor, grid: int = 32) -> float:
    """An upper bound on the norm of a zero-padded convolution, for images of every size.

    Zero padding and cropping compress the convolution on the whole plane, whose norm is the supremum over frequencies
    of the spectral norm of its symbol; a circular convolution samples the same symbol. For fixed unit vectors the
    symbol is, up to a phase, a trigonometric polynomial of degree d = (k − 1)/2 in each direction. Its supremum is at
    most its maximum on N > 2d points divided by ``cos(π d / N)``, once for each direction (Ehlich and Zeller,
    *Math. Z.* 86, 1964).

    The bound is at most ``cos(π d / N)⁻²`` times the norm; k is odd, and N is ``grid``.
    """
    degree = max(weight.shape[-2:]) // 2
    largest = torch.linalg.matrix_norm(_symbol(weight.detach().double(), grid), ord=2).max()
    return float(largest) / math.cos(math.pi * degree / grid) ** 2


def residual_lipschitz(network: nn.Module, grid: int = 64) -> float:
    """A bound on the Lipschitz constant of DnCNN's residual ``x − D(x)``: the product of the norms of its layers.

    ReLU has constant 1. The bound holds for zero and circular padding and images of every size.
    """
    return math.prod(convolution_norm(layer.weight, grid) for layer in convolutions(network))


def limit_lipschitz(network: nn.Module, bound: float, grid: int = 64) -> None:
    """Scale down layers such that ``residual_lipschitz`` is at most ``bound``; every layer gets an equal share."""
    layers = list(convolutions(network))
    share = bound ** (1 / len(layers))
    with torch.no_grad():
        for layer in layers:
            layer.weight.mul_(min(1.0, share / convolution_norm(layer.weight, grid)))


class Limiter(nn.Module):
    """Keeps ``residual_lipschitz`` near a bound during training, at a fraction of the cost of ``limit_lipschitz``.

    At each frequency of a coarse grid, one vector follows the weights by power iteration. Its norms are lower bounds:
    call ``limit_lipschitz`` at the end. Rare calls of ``limit_lipschitz`` alone are not enough: between two of them,
    weights were seen to exceed the bound twofold, and to lose as much when scaled back.
    """

    def __init__(self, network: nn.Module, bound: float, grid: int = 24) -> None:
        super().__init__()
        self.layers = list(convolutions(network))  # no ModuleList: they are the network's
        self.share = bound ** (1 / len(self.layers))
        self.grid = grid
        for k, layer in enumerate(self.layers):
            shape = (grid, grid // 2 + 1, layer.in_channels, 1)
            start = torch.randn(shape, generator=torch.Generator().manual_seed(k))
            self.register_buffer(f"vectors{k}", start.to(layer.weight.device, torch.complex64))

    def limit(self, rounds: int = 2) -> None:
        """Do ``rounds`` of power iteration, and scale down the layers that exceed their share."""
        with torch.no_grad():
            for k, layer in enumerate(self.layers):
                symbol = _symbol(layer.weight.float(), self.grid)
                vectors = self.get_buffer(f"vectors{k}")
                for _ in range(rounds):
                    vectors = torch.nn.functional.normalize(symbol.mH @ (symbol @ vectors), dim=-2)
                self.get_buffer(f"vectors{k}").copy_(vectors)
                norm = torch.linalg.vector_norm(symbol @ vectors, dim=-2).max()
                layer.weight.mul_(float((self.share / norm).clamp(max=1)))
