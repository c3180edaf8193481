"""The pretrained DnCNN of the package scico (BSD licence), read from the installed package without importing it."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import torch
from deepinv.models import DnCNN
from torch import Tensor, nn

from ..utils.errors import UserError
from .base import Denoiser, check_channels
from .noise_scaling import Scaled
from .weights import WeightFile, fill

SIGMA = 0.1
"""The noise level of the variants M (scico/data/flax/README.rst)."""
EPSILON = 1e-5
"""Added to the variance in scico's batch normalisation."""
WIDTH = 64
ARRAY = 1
"""flax's extension type of msgpack for an array: its shape, the name of its dtype, its bytes."""


def _version() -> str:
    try:
        return distribution("scico").version
    except PackageNotFoundError:
        return "absent"


@dataclass(frozen=True, slots=True)
class ScicoFamily:
    """scico's DnCNN of 6 or 17 layers for σ = 0.1, scaled to every noise level; colour images channel by channel.

    Source: Balke et al., *Scientific computational imaging code (SCICO)*, JOSS 7(78), 2022.

    Attributes:
        depth: 6 or 17.
        version: of the package, so that results with other weights have other keys.
    """

    depth: int
    version: str = field(default_factory=_version)
    name: str = "scico"

    def check(self, shape: tuple[int, int, int]) -> None:
        """Images of every size, grey or in colour. Raises ``UserError``."""
        check_channels(self.name, shape[0])

    def build(
        self, channels: int, dtype: torch.dtype, device: torch.device | str, weights: WeightFile | None
    ) -> Denoiser:
        """The denoiser. Raises ``UserError`` where scico or msgpack is not installed, or weights are given."""
        if weights is not None:
            raise UserError("scico brings its own weights: leave --weights out, or give it to dncnn")
        tree = _tree(self.depth)
        with torch.device("meta"):
            network = DnCNN(1, 1, depth=self.depth, nf=WIDTH, pretrained=None, device="meta")
            _wrap_around(network)
        try:
            tensors = fold(tree["params"], tree["batch_stats"], self.depth)
        except (KeyError, TypeError, RuntimeError) as error:
            raise UserError(
                f"dncnn{self.depth}M of the installed scico is not laid out as in scico 0.0.7"
            ) from error
        fill(network, tensors, f"dncnn{self.depth}M of scico", dtype)
        return Scaled(network, SIGMA, channelwise=True).to(device)


def fold(params: dict[str, Any], stats: dict[str, Any], depth: int) -> dict[str, Tensor]:
    """scico's layers as the weights of deepinv's DnCNN.

    scico computes ``x − C(…)`` with convolutions without bias, each but the first and last followed by batch
    normalisation; deepinv ``x + C(…)`` with biases alone. In float64.

    Args:
        params, stats: flax's trees; kernels are ``(height, width, in, out)``.
        depth: number of convolutions.

    Returns:
        A state dict.
    """
    first, last = _kernel(params["conv_start"]), _kernel(params["conv_end"])
    found = {
        "in_conv.weight": first,
        "in_conv.bias": first.new_zeros(len(first)),
        "out_conv.weight": -last,
        "out_conv.bias": last.new_zeros(len(last)),
    }
    for k in range(depth - 2):
        block, running = params[f"ConvBNBlock_{k}"], stats[f"ConvBNBlock_{k}"]["BatchNorm_0"]
        gain = _double(block["BatchNorm_0"]["scale"]) / (_double(running["var"]) + EPSILON).sqrt()
        found[f"conv_list.{k}.weight"] = gain[:, None, None, None] * _kernel(block["Conv_0"])
        found[f"conv_list.{k}.bias"] = _double(block["BatchNorm_0"]["bias"]) - gain * _double(running["mean"])
    return found


def _tree(depth: int) -> dict[str, Any]:
    """The file as it is: dictionaries of arrays."""
    try:
        msgpack = importlib.import_module("msgpack")
        file = Path(str(distribution("scico").locate_file(f"scico/data/flax/dncnn{depth}M.mpk")))
        data = file.read_bytes()
    except (ImportError, PackageNotFoundError, OSError) as error:
        raise UserError(
            "scico(…) reads its weights from the package scico: pip install --no-deps scico msgpack"
        ) from error

    def array(code: int, packed: bytes) -> Any:
        if code != ARRAY:
            raise ValueError(f"extension type {code}")
        shape, kind, content = msgpack.unpackb(packed, raw=True)
        return np.frombuffer(content, kind.decode()).reshape(shape)

    try:
        return msgpack.unpackb(data, ext_hook=array, raw=False)
    except Exception as error:  # msgpack raises what it meets, of several types
        raise UserError(f"{file.name} of the installed scico is damaged: install scico again") from error


def _wrap_around(network: DnCNN) -> None:
    """Give the convolutions the circular padding that scico's have."""

    def circular(layer: nn.Module) -> nn.Conv2d:
        assert isinstance(layer, nn.Conv2d)
        return nn.Conv2d(layer.in_channels, layer.out_channels, 3, padding=1, padding_mode="circular")

    network.in_conv, network.out_conv = circular(network.in_conv), circular(network.out_conv)
    network.conv_list = nn.ModuleList(circular(layer) for layer in network.conv_list)


def _kernel(layer: dict[str, Any]) -> Tensor:
    return _double(layer["kernel"]).permute(3, 2, 0, 1)


def _double(array: Any) -> Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float64))
