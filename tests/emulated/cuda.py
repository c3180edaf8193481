"""The context in which ``device="cuda"`` is the emulated device, and what ``torch.cuda`` answers in it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils._pytree import tree_map_only

from tests.emulated.counts import now
from tests.emulated.device import CUDA, MEMORY, CudaTensor, Factories, moved, moving

NAME = "emulated"
PROPERTIES = SimpleNamespace(
    name=NAME,
    major=9,
    minor=0,
    multi_processor_count=132,
    total_memory=80 * 2**30,
    uuid="00000000-0000-0000-0000-000000000000",
)
"""Those of one device of the kind that the project is meant for."""


def _synchronize(*_: object) -> None:
    now().wait("synchronize")


ANSWERS: dict[str, Any] = {
    "_lazy_init": lambda: None,
    "is_available": lambda: True,
    "is_initialized": lambda: True,
    "device_count": lambda: 1,
    "current_device": lambda: 0,
    "set_device": lambda *_: None,
    "get_device_name": lambda *_: NAME,
    "get_device_capability": lambda *_: (PROPERTIES.major, PROPERTIES.minor),
    "get_device_properties": lambda *_: PROPERTIES,
    "current_stream": lambda *_: None,
    "stream": lambda *_: nullcontext(),
    "device": lambda *_: nullcontext(),
    "is_current_stream_capturing": lambda: False,
    "default_generators": (torch.Generator(),),
    "manual_seed": lambda *_: None,
    "manual_seed_all": lambda *_: None,
    "synchronize": _synchronize,
    "empty_cache": lambda: None,
    "memory_allocated": lambda *_: MEMORY.bytes,
    "max_memory_allocated": lambda *_: MEMORY.peak,
    "reset_peak_memory_stats": lambda *_: MEMORY.restart(),
    "memory_stats": lambda *_: {
        "allocated_bytes.all.current": MEMORY.bytes,
        "allocated_bytes.all.peak": MEMORY.peak,
        "requested_bytes.all.current": MEMORY.bytes,
        "requested_bytes.all.peak": MEMORY.peak,
    },
}
"""By the name in ``torch.cuda``."""


@contextmanager
def emulated() -> Generator[torch.device]:
    """In here ``cuda`` is the emulated device; everything is as it was afterwards."""
    overwrite = torch.__future__.get_overwrite_module_params_on_conversion()
    with pytest.MonkeyPatch.context() as patch:
        for name, answer in ANSWERS.items():
            patch.setattr(torch.cuda, name, answer)
        # What is freed between the cells of one process.
        patch.setattr(torch._C, "_cuda_clearCublasWorkspaces", lambda: None)
        patch.setattr(torch.backends.cuda, "cufft_plan_cache", SimpleNamespace(clear=lambda: None))
        # Adam asks whether a graph is being captured.
        stream = SimpleNamespace(is_capturing=lambda: False)
        patch.setattr(torch.accelerator, "current_stream", lambda *_: stream)
        patch.setattr(torch.Tensor, "to", moving(torch.Tensor.to))
        patch.setattr(torch.Tensor, "cuda", lambda x, *_, **__: moved(x, CUDA))
        patch.setattr(torch, "load", _loading(torch.load))
        for name in ("tensor", "as_tensor"):  # no mode sees them
            patch.setattr(torch, name, _made(getattr(torch, name)))
        # A parameter that moves is made anew: new values cannot be put behind a wrapper.
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        MEMORY.restart()
        try:
            with Factories():
                yield CUDA
        finally:
            torch.__future__.set_overwrite_module_params_on_conversion(overwrite)


def _loading(plain: Callable[..., Any]) -> Callable[..., Any]:
    """``torch.load`` that can place what it loads on the device."""

    def load(file: Any, map_location: Any = None, **given: Any) -> Any:
        there = map_location is not None and torch.device(map_location).type == "cuda"
        found = plain(file, map_location="cpu" if there else map_location, **given)
        return tree_map_only(torch.Tensor, lambda x: moved(x, CUDA), found) if there else found

    return load


def _made(plain: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """``torch.tensor``, or ``torch.as_tensor``, that makes tensors of the device."""

    def make(data: Any, *, device: Any = None, requires_grad: bool = False, **given: Any) -> torch.Tensor:
        if isinstance(data, CudaTensor):
            made = data.detach() if plain.__name__ == "tensor" else data
            return made.to(device, given.get("dtype"), copy=plain.__name__ == "tensor")
        made = plain(data, **given)
        made = made if device is None else moved(made, torch.device(device))
        return made.requires_grad_() if requires_grad else made

    return make
