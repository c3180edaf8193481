"""Backpropagation through a network, as explicit vector–Jacobian products from the last layer to the first."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from . import backward_pass, networks, tangents
from .networks import Architecture, Network
from .settings import Setting


def pre_activations(network: Network, x: Tensor, sigma_w: Tensor, sigma_b: Tensor) -> Tensor:
    """Pre-activations of every layer, ``(depth, N, P)``, for inputs in the columns of x, ``(N, P)``."""
    layers = []
    for weight, bias in zip(network.weights, network.biases, strict=True):
        z = sigma_w * (weight @ x) + bias[:, None] * sigma_b
        layers.append(z)
        x = torch.erf(z)
    return torch.stack(layers)


def input_gradient(weight: Tensor, z: Tensor, gradient: Tensor, sigma_w: Tensor) -> Tensor:
    """The gradient with respect to the input of a layer, from that with respect to its output; ``(N, P)`` each."""
    return sigma_w * (weight.T @ (tangents.erf_derivative(z) * gradient))


def activation_gradients(network: Network, z: Tensor, gradient: Tensor, sigma_w: Tensor) -> Tensor:
    """Gradients with respect to x_{D−1}, …, x_0, from that with respect to x_D: ``(depth, N, P)``."""
    layers = []
    for weight, pre_activation in zip(network.weights.flip(0), z.flip(0), strict=True):
        gradient = backward_pass.input_gradient(weight, pre_activation, gradient, sigma_w)
        layers.append(gradient)
    return torch.stack(layers)


@cache
def gradient_growth(setting: Setting, sigma_w: tuple[float, ...], sigma_b: float) -> np.ndarray:
    """Log norms of the difference of two random output gradients: ``(seeds, depth, len(sigma_w))``.

    Layers are in the order of the backward pass; the first is the one below the output. The backward pass is linear, so
    the difference of two gradients is the gradient of the difference.
    """
    w = torch.tensor(sigma_w, dtype=torch.float64, device=setting.device)
    b = torch.full_like(w, sigma_b)
    logs = []
    for seed in range(setting.backward_seeds):
        network = networks.draw_network(
            Architecture.MLP, setting.backward_width, setting.backward_depth, seed
        ).to(setting.device)
        double = Network(network.weights.double(), network.biases.double())
        x = (
            networks.two_inputs(setting.backward_width, seed)
            .to(setting.device)[:, :1]
            .expand(-1, len(sigma_w))
        )
        first, second = (
            networks.two_inputs(setting.backward_width, 10_000 + seed).to(setting.device).unbind(1)
        )
        z = backward_pass.pre_activations(double, x, w, b)
        start = [g[:, None].expand(-1, len(sigma_w)) for g in (first, second)]
        one, two = (backward_pass.activation_gradients(double, z, g, w) for g in start)
        logs.append((one - two).norm(dim=1).log().cpu())
    return torch.stack(logs).numpy()
