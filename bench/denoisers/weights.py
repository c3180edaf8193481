"""Weights of a network, written as safetensors. Reading executes no code, and a misfit raises one line of text."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from deepinv.models.utils import get_weights_url
from safetensors import SafetensorError
from safetensors.torch import load as parse_safetensors
from safetensors.torch import save as write_safetensors
from torch import Tensor, nn

from ..utils.errors import UserError, in_a_line

FOLDER = Path(__file__).parent / "weights"
SUMS = FOLDER / "SHA256SUMS"
DOWNLOAD = "download"
"""Stands for the network that deepinv publishes, in place of a path."""


@dataclass(frozen=True, slots=True)
class WeightFile:
    """Weights chosen by a user.

    Attributes:
        source: path of a file, or ``DOWNLOAD``. Two files with the same contents are equal.
        digest: SHA-256 of the file; ``DOWNLOAD`` for a download.
    """

    source: str = field(compare=False, repr=False)
    digest: str

    def tensors(self) -> dict[str, Tensor]:
        """Read the file. Raises ``UserError`` if it is missing, changed, damaged or of another format."""
        data = _read(Path(self.source))
        if hashlib.sha256(data).hexdigest() != self.digest:
            raise UserError(f"the weights {self.source} have changed since the run began: start it again")
        return parse_weights(data, Path(self.source).name)


def weight_file(source: str) -> WeightFile:
    """The weights in the file ``source``, or ``DOWNLOAD``. Raises ``UserError`` if the file cannot be read."""
    if source == DOWNLOAD:
        return WeightFile(source, DOWNLOAD)
    return WeightFile(source, hashlib.sha256(_read(Path(source))).hexdigest())


def weight_bytes(network: nn.Module, name: str, dtype: torch.dtype = torch.float32) -> bytes:
    """The weights of a network in ``dtype`` as a safetensors file, which stores the architecture's ``name``."""
    return _to_safetensors(network.state_dict(), name, dtype)


def pack(file: Path, name: str, dtype: torch.dtype) -> bytes:
    """Convert a weight file to safetensors in ``dtype``. Raises ``UserError`` if it cannot be read."""
    return _to_safetensors(parse_weights(_read(file), file.name), name, dtype)


def _to_safetensors(tensors: Mapping[str, Tensor], name: str, dtype: torch.dtype) -> bytes:
    stored = {key: value.detach().cpu().to(dtype).contiguous() for key, value in tensors.items()}
    return write_safetensors(stored, metadata={"architecture": name})


def parse_weights(data: bytes, name: str) -> dict[str, Tensor]:
    """Parse a weight file: safetensors, or torch's format if ``name`` has another suffix. Raises ``UserError``."""
    if name.endswith(".safetensors"):
        try:
            return parse_safetensors(data)
        except SafetensorError as error:
            raise UserError(
                f"the weights {name} are damaged or not safetensors: {in_a_line(error)}"
            ) from error
    try:
        with warnings.catch_warnings(action="ignore"):
            content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch's parsers raise errors of many types
        raise UserError(
            f"the weights {name} are neither safetensors nor tensors saved by torch: nothing was loaded"
        ) from error
    return _state_dict(content, name)


def _state_dict(content: object, name: str) -> dict[str, Tensor]:
    state = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"the weights {name} hold no state dict: save network.state_dict()")
    return {str(key): value for key, value in state.items()}


def shipped_weights(file: Path, sums_file: Path) -> dict[str, Tensor]:
    """Weights that come with the project. Raises ``UserError`` if they differ from their line in ``SHA256SUMS``."""
    try:
        sums = dict(line.split()[::-1] for line in sums_file.read_text(encoding="utf-8").splitlines())
        data = file.read_bytes()
    except (OSError, ValueError) as error:
        raise UserError(
            f"the shipped weights {file.name} cannot be read: check the project out again"
        ) from error
    if hashlib.sha256(data).hexdigest() != sums.get(file.name):
        raise UserError(f"the shipped weights {file.name} fail their checksum: check the project out again")
    return parse_weights(data, file.name)


def _download(model: str, file: str) -> dict[str, Tensor]:
    try:
        content = torch.hub.load_state_dict_from_url(
            get_weights_url(model, file),
            map_location="cpu",
            progress=False,
            file_name=file,
            weights_only=True,
        )
    except Exception as error:
        raise UserError(
            f"cannot download {file} ({type(error).__name__}): is there a network? give --weights PATH instead"
        ) from error
    return _state_dict(content, file)


def load_network(
    compact: nn.Module,
    published: nn.Module,
    model: str,
    file: str,
    shipped: str,
    weights: WeightFile | None,
    dtype: torch.dtype,
) -> nn.Module:
    """Load weights into one of two architectures: a user's file into the one that it fits. Raises ``UserError``.

    Args:
        compact, published: the project's architecture and deepinv's, both on the meta device.
        model, file: names of the published weights at deepinv.
        shipped: name of the shipped weights, for ``compact``; loaded if ``weights`` is ``None``.
    """
    if weights is None:
        file_of_ours = FOLDER / f"{shipped}.safetensors"
        network, tensors, source = compact, shipped_weights(file_of_ours, SUMS), shipped
    elif weights.digest == DOWNLOAD:
        network, tensors, source = published, _download(model, file), file
    else:
        tensors, source = weights.tensors(), weights.source
        network = published if _shapes(published.state_dict()) == _shapes(tensors) else compact
    load_weights(network, tensors, source, dtype)
    return network


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in tensors.items()}


def load_weights(network: nn.Module, tensors: Mapping[str, Tensor], source: str, dtype: torch.dtype) -> None:
    """Make copies of ``tensors`` in ``dtype`` the weights of ``network``, which may be on the meta device.

    Raises ``UserError`` if names or shapes differ from the network's, or a value is not a finite real number.
    """
    misfit = f"the weights {source} are not of this {type(network).__name__}"
    expected = network.state_dict()
    missing, foreign = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if missing or foreign:
        parts = [f"{len(missing)} missing (e.g. {missing[0]})"] if missing else []
        parts += [f"{len(foreign)} foreign (e.g. {foreign[0]})"] if foreign else []
        raise UserError(f"{misfit}: {', '.join(parts)}")
    for key, value in expected.items():
        if tensors[key].shape != value.shape:
            raise UserError(
                f"{misfit}: {key} is {tuple(tensors[key].shape)} and should be {tuple(value.shape)}"
            )
        if not tensors[key].is_floating_point() or not bool(tensors[key].isfinite().all()):
            raise UserError(f"the weights {source} hold values that are not finite numbers, in {key}")
    copies = {key: tensors[key].detach().to(dtype, copy=True).contiguous() for key in expected}
    network.load_state_dict(copies, assign=True)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read the weights {file}: {error.strerror}") from error
