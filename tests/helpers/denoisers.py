"""Small denoisers and their weight files."""

from __future__ import annotations

from pathlib import Path

import torch
from deepinv.models import DnCNN
from torch import nn

from bench.denoisers import (
    DncnnFamily,
    DrunetFamily,
    GsDrunetFamily,
    weight_file,
    weights,
)
from bench.denoisers.architectures import (
    ARCHITECTURES,
    COMPACT,
    GradientStep,
    limit_lipschitz,
)
from tests.helpers.tensors import F64

SHIPPED = sorted(ARCHITECTURES)


def small(seed=0, channels=1, bound=None):
    """A DnCNN of three layers with random weights and biases."""
    torch.manual_seed(seed)
    network = DnCNN(channels, channels, depth=3, nf=4, pretrained=None).double()
    if bound:
        limit_lipschitz(network, bound)
    return network


def write(folder: Path, name: str, network: nn.Module, dtype=torch.float32):
    file = folder / f"{name}.safetensors"
    file.write_bytes(weights.weight_bytes(network, name, dtype))
    return weight_file(str(file))


def families(folder):
    """A small member of every family, in float64."""
    torch.manual_seed(0)
    drunet = write(folder, "drunet_grey", ARCHITECTURES["drunet_grey"].build())
    dncnn = write(folder, "dncnn_grey", ARCHITECTURES["dncnn_grey"].build())
    steps = write(folder, "gsdrunet", GradientStep(1, COMPACT))
    return {
        "drunet": DrunetFamily().build(1, F64, "cpu", drunet),
        "dncnn": DncnnFamily().build(1, F64, "cpu", dncnn),
        "gsdrunet": GsDrunetFamily().build(1, F64, "cpu", steps),
    }
