"""The pretrained DnCNN of the package scico (BSD licence), read from its files without importing it."""

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
from .base import Denoiser, Family, ScaledDenoiser
from .weights import WeightFile, load_weights

SIGMA = 0.1
"""Noise level of the variants M (scico/data/flax/README.rst)."""
EPSILON = 1e-5
"""Added to the variance in scico's batch normalisation."""
ARRAY = 1
"""flax's msgpack extension type of an array: its shape, the name of its dtype, its bytes."""


def _version() -> str:
    try:
        return distribution("scico").version
    except PackageNotFoundError:
        return "absent"


@dataclass(frozen=True, slots=True)
class ScicoFamily(Family):
    """scico's DnCNN of 6 or 17 layers for σ = 0.1, scaled to every noise level; it denoises colours separately.

    Source: Balke et al., *Scientific computational imaging code (SCICO)*, JOSS 7(78), 2022. The ``version`` of the
    package enters the key of a record.
    """

    depth: int
    version: str = field(default_factory=_version)
    name: str = "scico"

    def build(
        self, channels: int, dtype: torch.dtype, device: torch.device | str, weights: WeightFile | None
    ) -> Denoiser:
        """The denoiser. Raises ``UserError`` if scico or msgpack is missing, or if weights are given."""
        if weights is not None:
            raise UserError("scico brings its own weights: leave --weights out, or give it to dncnn")
        content = _content(self.depth)
        with torch.device("meta"):
            network = circular_dncnn(self.depth, "meta")
        try:
            tensors = fold(content["params"], content["batch_stats"], self.depth)
        except (KeyError, TypeError, RuntimeError) as error:
            raise UserError(
                f"dncnn{self.depth}M of the installed scico is not laid out as in scico 0.0.7"
            ) from error
        load_weights(network, tensors, f"dncnn{self.depth}M of scico", dtype)
        return ScaledDenoiser(network, SIGMA, channelwise=True).to(device)


def fold(params: dict[str, Any], stats: dict[str, Any], depth: int) -> dict[str, Tensor]:
    """Convert scico's layers to a state dict of deepinv's DnCNN, in float64.

    scico computes ``x − C(…)``, whose convolutions have no bias and, but for the first and last, a batch normalisation;
    deepinv computes ``x + C(…)`` with biases.

    ``params`` and ``stats`` are flax's trees, with kernels ``(height, width, in, out)``.
    """
    first, last = _kernel(params["conv_start"]), _kernel(params["conv_end"])
    state = {
        "in_conv.weight": first,
        "in_conv.bias": first.new_zeros(len(first)),
        "out_conv.weight": -last,
        "out_conv.bias": last.new_zeros(len(last)),
    }
    for k in range(depth - 2):
        block, running = params[f"ConvBNBlock_{k}"], stats[f"ConvBNBlock_{k}"]["BatchNorm_0"]
        gain = _double(block["BatchNorm_0"]["scale"]) / (_double(running["var"]) + EPSILON).sqrt()
        state[f"conv_list.{k}.weight"] = gain[:, None, None, None] * _kernel(block["Conv_0"])
        state[f"conv_list.{k}.bias"] = _double(block["BatchNorm_0"]["bias"]) - gain * _double(running["mean"])
    return state


def _content(depth: int) -> dict[str, Any]:
    """The weight file as nested dictionaries of arrays."""
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
        shape, dtype, content = msgpack.unpackb(packed, raw=True)
        return np.frombuffer(content, dtype.decode()).reshape(shape)

    try:
        return msgpack.unpackb(data, ext_hook=array, raw=False)
    except Exception as error:  # msgpack raises errors of several types
        raise UserError(f"{file.name} of the installed scico is damaged: install scico again") from error


def circular_dncnn(depth: int, device: str = "cpu") -> DnCNN:
    """A grey DnCNN of width 64 with the circular padding of scico's convolutions."""
    network = DnCNN(1, 1, depth=depth, nf=64, pretrained=None, device=device)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.padding_mode = "circular"
    return network


def _kernel(layer: dict[str, Any]) -> Tensor:
    return _double(layer["kernel"]).permute(3, 2, 0, 1)


def _double(array: Any) -> Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float64))
