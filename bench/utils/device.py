"""The device that a command computes on."""

from __future__ import annotations

import torch

from .errors import UserError


def pick_device(text: str) -> torch.device:
    """Parse ``cpu``, ``cuda``, ``cuda:1`` or ``auto`` (a GPU if there is one). Raises ``UserError``."""
    if text == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(text)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise UserError(f"unknown device {text!r}: give cpu, cuda or auto")
    if device.type == "cuda" and (device.index or 0) >= (count := torch.cuda.device_count()):
        raise UserError(f"--device {text}: this machine has {count} CUDA devices; try --device cpu")
    return device
