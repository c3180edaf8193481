"""Weights of a network: written and read as safetensors, nothing executed, every misfit said in a line."""

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

from ..utils.errors import UserError

FOLDER = Path(__file__).parent / "weights"
SUMS = FOLDER / "SHA256SUMS"
DOWNLOAD = "download"
"""In place of a path: the network that deepinv publishes."""


@dataclass(frozen=True, slots=True)
class WeightFile:
    """Weights that a user asked for.

    Attributes:
        source: path of a file, or ``DOWNLOAD``. Two files with the same contents are equal.
        digest: SHA-256 of its bytes; ``DOWNLOAD`` itself for a download.
    """

    source: str = field(compare=False, repr=False)
    digest: str

    @property
    def published(self) -> bool:
        """Whether they are to be downloaded."""
        return self.digest == DOWNLOAD

    def tensors(self) -> dict[str, Tensor]:
        """What is in the file. Raises ``UserError`` where it is gone, changed, damaged or foreign."""
        data = _bytes(Path(self.source))
        if hashlib.sha256(data).hexdigest() != self.digest:
            raise UserError(f"the weights {self.source} have changed since the run began: start it again")
        return parse_weights(data, Path(self.source).name)


def weight_file(source: str) -> WeightFile:
    """The weights in the file ``source``, or ``DOWNLOAD``. Raises ``UserError`` where it cannot be read."""
    if source == DOWNLOAD:
        return WeightFile(source, DOWNLOAD)
    return WeightFile(source, hashlib.sha256(_bytes(Path(source))).hexdigest())


def weight_bytes(network: nn.Module, name: str, dtype: torch.dtype = torch.float32) -> bytes:
    """The weights of ``network`` in ``dtype`` as the bytes of a safetensors file that carries its ``name``."""
    return _written(network.state_dict(), name, dtype)


def pack(file: Path, name: str, dtype: torch.dtype) -> bytes:
    """The weights in ``file`` once more, in ``dtype``. Raises ``UserError`` as ``read_weights`` does."""
    return _written(read_weights(file), name, dtype)


def _written(tensors: Mapping[str, Tensor], name: str, dtype: torch.dtype) -> bytes:
    stored = {key: value.detach().cpu().to(dtype).contiguous() for key, value in tensors.items()}
    return write_safetensors(stored, metadata={"architecture": name})


def shipped(name: str) -> dict[str, Tensor]:
    """The weights of that name that come with the project, after their checksum.

    Raises:
        UserError: they are missing, or not what was shipped.
    """
    file = FOLDER / f"{name}.safetensors"
    try:
        wanted = dict(line.split()[::-1] for line in SUMS.read_text(encoding="utf-8").splitlines())
        data = file.read_bytes()
    except (OSError, ValueError) as error:
        raise UserError(
            f"the shipped weights {file.name} cannot be read: check the project out again"
        ) from error
    if hashlib.sha256(data).hexdigest() != wanted.get(file.name):
        raise UserError(f"the shipped weights {file.name} fail their checksum: check the project out again")
    return parse_weights(data, file.name)


def download(model: str, file: str) -> dict[str, Tensor]:
    """A network that deepinv publishes, from its home or from torch's cache.

    Raises:
        UserError: no network, or what came is no state dict.
    """
    try:
        found = torch.hub.load_state_dict_from_url(
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
    return _state(found, file)


def read_weights(file: Path) -> dict[str, Tensor]:
    """The tensors of a weight file: safetensors, or torch's own format without any code in it.

    Raises:
        UserError: no such file, or neither format.
    """
    return parse_weights(_bytes(file), file.name)


def parse_weights(data: bytes, name: str) -> dict[str, Tensor]:
    """Tensors in the bytes of a weight file, whose ``name`` tells the format. Raises ``UserError``."""
    if name.endswith(".safetensors"):
        try:
            return parse_safetensors(data)
        except SafetensorError as error:
            raise UserError(f"the weights {name} are damaged or not safetensors: {_line(error)}") from error
    try:
        with warnings.catch_warnings(action="ignore"):
            found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises what its parsers meet, of a dozen types
        raise UserError(
            f"the weights {name} are neither safetensors nor tensors saved by torch: nothing was loaded"
        ) from error
    return _state(found, name)


def _state(found: object, name: str) -> dict[str, Tensor]:
    inner = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(inner, dict) or not all(isinstance(value, Tensor) for value in inner.values()):
        raise UserError(f"the weights {name} hold no state dict: save network.state_dict()")
    return {str(key): value for key, value in inner.items()}


def fits_network(network: nn.Module, tensors: Mapping[str, Tensor]) -> bool:
    """Whether names and shapes are the network's."""
    return {k: v.shape for k, v in network.state_dict().items()} == {k: v.shape for k, v in tensors.items()}


def fill(network: nn.Module, tensors: Mapping[str, Tensor], source: str, dtype: torch.dtype) -> None:
    """Make copies of ``tensors`` in ``dtype`` the weights of ``network``, which may lie on the meta device.

    Raises:
        UserError: names or shapes are not the network's, or a value is not a finite real number.
    """
    misfit = f"the weights {source} are not of this {type(network).__name__}"
    wanted = network.state_dict()
    missing, foreign = sorted(wanted.keys() - tensors.keys()), sorted(tensors.keys() - wanted.keys())
    if missing or foreign:
        parts = [f"{len(missing)} missing (e.g. {missing[0]})"] if missing else []
        parts += [f"{len(foreign)} foreign (e.g. {foreign[0]})"] if foreign else []
        raise UserError(f"{misfit}: {', '.join(parts)}")
    for key, value in wanted.items():
        if tensors[key].shape != value.shape:
            raise UserError(
                f"{misfit}: {key} is {tuple(tensors[key].shape)} and should be {tuple(value.shape)}"
            )
        if not tensors[key].is_floating_point() or not bool(tensors[key].isfinite().all()):
            raise UserError(f"the weights {source} hold values that are not finite numbers, in {key}")
    copies = {key: tensors[key].detach().to(dtype, copy=True).contiguous() for key in wanted}
    network.load_state_dict(copies, assign=True)


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read the weights {file}: {error.strerror}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
