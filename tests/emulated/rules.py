"""What CUDA refuses of an operation of ATen, and what the operation costs.

Most of it is read off the operation's schema and tags; what torch does not say of itself is listed by name, from the
kernels of torch 2.11 and 2.15 and from the documentation of ``torch.use_deterministic_algorithms``.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

from tests.emulated.counts import now, place

CHECKED = {"_linalg_svd", "_linalg_eigh", "linalg_eig", "linalg_lstsq", "_linalg_check_errors"}
"""Decompositions whose status the host reads."""
ALLOCATE = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}
"""Nothing is launched for them."""
SINGLE = {"addcmul", "addcdiv", "clamp", "lerp"}
"""Pointwise operations of three tensors, which take no number from the CPU."""
UNDETERMINED = {
    "adaptive_avg_pool2d_backward": "adaptive_avg_pool2d_backward_cuda",
    "_adaptive_avg_pool2d_backward": "adaptive_avg_pool2d_backward_cuda",
    "bincount": "_bincount_cuda",
    "cumsum": "cumsum_cuda_kernel",
    "grid_sampler_2d_backward": "grid_sampler_2d_backward_cuda",
    "histc": "_histc_cuda",
    "kthvalue": "kthvalue CUDA",
    "median": "median CUDA with indices output",
    "put_": "put_",
    "reflection_pad1d_backward": "reflection_pad1d_backward_out_cuda",
    "reflection_pad2d_backward": "reflection_pad2d_backward_cuda",
    "replication_pad1d_backward": "replication_pad1d_backward_cuda",
    "replication_pad2d_backward": "replication_pad2d_backward_cuda",
    "upsample_bicubic2d_backward": "upsample_bicubic2d_backward_out_cuda",
    "upsample_bilinear2d_backward": "upsample_bilinear2d_backward_out_cuda",
}
"""What CUDA calls operations that have no deterministic implementation."""


class MixedDevicesError(RuntimeError):
    """Tensors of two devices in one operation."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What an operation says of itself.

    Attributes:
        name: without namespace and overload.
        launches: whether it computes or copies.
        reads: whether the host needs a value of the device, or a size that depends on one.
        pointwise: whether a number from the CPU may stand in it.
        writes: the arguments, by position and name, that it changes and returns; empty where it makes new tensors.
        reshapes: whether it changes the sizes of its argument.
    """

    name: str
    launches: bool
    reads: bool
    pointwise: bool
    writes: tuple[tuple[int, str], ...]
    reshapes: bool


@functools.cache
def kind(func: OpOverload) -> Kind:
    """The kind of an operation."""
    name, schema, tags = func.overloadpacket.__name__, func._schema, func.tags
    aliases = [value.alias_info for value in schema.returns]
    view = bool(aliases) and all(info is not None and not info.is_write for info in aliases)
    written = [info.before_set for info in aliases if info is not None and info.is_write]
    arguments = list(enumerate(schema.arguments))
    writes = tuple(
        (i, argument.name)
        for names in written
        for i, argument in arguments
        if argument.alias_info is not None and argument.alias_info.before_set == names
    )
    reads = torch.Tag.data_dependent_output in tags or torch.Tag.dynamic_output_shape in tags
    return Kind(
        name,
        not view and name not in ALLOCATE,
        (reads and name not in ("index", "_unsafe_index")) or name in CHECKED,
        torch.Tag.pointwise in tags or name.startswith(("masked_fill", "fill")),
        writes,
        torch.Tag.inplace_view in tags,
    )


def admit(
    kind: Kind, args: Sequence[Any], kwargs: dict[str, Any], ours: list[Tensor], foreign: list[Tensor]
) -> None:
    """Refuse what CUDA refuses, and count what the operation costs.

    Args:
        kind: of the operation.
        args, kwargs: its arguments.
        ours, foreign: the tensors among them on the device, and on the CPU.

    Raises:
        MixedDevicesError: they may not be mixed here.
        RuntimeError: a generator of the CPU is to draw on the device.
        NotImplementedError: the emulation cannot follow the operation.
    """
    if kind.reshapes:
        raise NotImplementedError(
            f"the emulated device cannot follow {kind.name}, which changes sizes in place"
        )
    generator = kwargs.get("generator")
    if generator is not None and generator.device.type == "cpu":
        raise RuntimeError(f"Expected a 'cuda' device type for generator but found 'cpu' (at {place()})")
    if ours and foreign:
        _mixed(kind, args, foreign)
    if kind.launches:
        now().launch()
    if kind.reads or _masked(kind, args):
        now().wait(kind.name)
    if kind.name in UNDETERMINED and _alerts(kind.name, args, kwargs):
        now().alert(kind.name)
        if torch.are_deterministic_algorithms_enabled():
            # In the words of torch, which bench.utils.determinism listens to.
            warnings.warn(
                f"{UNDETERMINED[kind.name]} does not have a deterministic implementation, but you set "
                "'torch.use_deterministic_algorithms(True, warn_only=True)'.",
                stacklevel=2,
            )


def _mixed(kind: Kind, args: Sequence[Any], foreign: list[Tensor]) -> None:
    """Refuse tensors of the CPU beside those of the device, except where CUDA takes them."""
    home = any(args[0] is tensor for tensor in foreign) if args else False
    if kind.name == "copy_":
        if home:
            now().wait("copy_ to the CPU")
        else:
            now().upload("copy_")
        return
    if kind.name in ("index", "_unsafe_index", "index_put", "index_put_", "_index_put_impl_") and not home:
        values = args[2] if kind.name not in ("index", "_unsafe_index") else None
        if not any(tensor is values and tensor.ndim for tensor in foreign):
            now().upload("indices on the CPU", sum(tensor is not values for tensor in foreign))
            return
    elif kind.pointwise and not home_of_result(kind, args, foreign):
        numbers = all(tensor.ndim == 0 for tensor in foreign)
        if numbers and len(foreign) == 1 and kind.name.rstrip("_") not in SINGLE:
            return
    shapes = ", ".join(str(tuple(tensor.shape)) for tensor in foreign)
    raise MixedDevicesError(
        f"Expected all tensors to be on the same device, but {kind.name} found some on cuda:0 and "
        f"{shapes} on the CPU (at {place()})"
    )


def home_of_result(kind: Kind, args: Sequence[Any], foreign: list[Tensor]) -> bool:
    """Whether what the operation writes to is on the CPU."""
    return any(i < len(args) and any(args[i] is tensor for tensor in foreign) for i, _ in kind.writes)


def _masked(kind: Kind, args: Sequence[Any]) -> bool:
    """Whether a mask stands for indices, whose number the host has to know."""
    if kind.name not in ("index", "_unsafe_index", "index_put", "index_put_", "_index_put_impl_"):
        return False
    masks = [i for i in args[1] or [] if isinstance(i, Tensor) and i.dtype in (torch.bool, torch.uint8)]
    if not any(mask.is_cuda for mask in masks):
        return False
    if kind.name in ("index", "_unsafe_index") or len(masks) < sum(i is not None for i in args[1]):
        return True
    # A single number written through masks is a masked_fill, which needs no indices.
    value, accumulate = args[2], args[3] if len(args) > 3 else False
    return accumulate or value.numel() != 1 or value.is_cuda


def _alerts(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Whether the operation is one of those, with these arguments."""
    if name == "bincount":
        return kwargs.get("weights", args[1] if len(args) > 1 else None) is not None
    if name == "cumsum":
        return args[0].is_floating_point()
    return name != "median" or len(args) > 1
