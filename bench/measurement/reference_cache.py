"""The reference gradient of a task and seed, computed once a run and shared by its cells."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ..tasks import Task, build_problem
from ..tasks.images import Images, Layout
from ..utils import provenance
from ..utils.atomic_files import make_folder, publish
from ..utils.file_locks import file_lock
from .hypergradient import NoReference, ReferenceGradient, reference_gradient
from .memory import free_memory, out_of_memory

CPU = torch.device("cpu")


def cached_reference(
    task: Task,
    images: Images,
    layout: Layout,
    size: int,
    seed: int,
    budget: int = 3000,
    folder: Path | None = None,
    draw: int = 0,
    device: torch.device = CPU,
) -> ReferenceGradient | str:
    """The float64 gradient of a task and seed at the initial parameters, or why there is none.

    It is the implicit gradient of the first ``size`` training crops at the equilibrium of plain iteration, and says how
    wrong it may be: see ``ReferenceGradient``. The problem is the same on every device. Cells run in processes of their
    own: with ``folder``, the first that needs it stores it there for all others on a device of this type.

    Where ``device`` has too little memory, the CPU computes it: a float64 solve takes more than many an estimator, and
    the cell of one that fits must not fail by it.

    Args:
        task, images, layout, size, seed, budget: what decides it.
        folder: where references are shared; ``None`` for nowhere.
        draw: of the mask and the noise.
        device: where to compute. What is returned lies on the CPU.
    """

    def compute() -> ReferenceGradient | str:
        return _computed(task, images, layout, size, seed, budget, draw, device)

    if folder is None:
        return compute()
    decides = [repr(task), images.digest, asdict(layout), size, seed, budget, draw, device.type]
    decides += [provenance.fingerprint(), provenance.versions()]
    key = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:20]
    return _shared(folder, key, compute)


def _shared(
    folder: Path, key: str, compute: Callable[[], ReferenceGradient | str]
) -> ReferenceGradient | str:
    file = folder / f"{key}.safetensors"
    if (found := _read(file)) is not None:
        return found
    make_folder(folder)
    with file_lock(folder / f"{key}.lock", wait=True):
        if (found := _read(file)) is not None:
            return found
        made = compute()
        missing = isinstance(made, str)
        about = {"why": made} if missing else {"oracle": json.dumps(_numbers(made))}
        gradient = torch.zeros(0) if missing else made.gradient.contiguous()
        file.unlink(missing_ok=True)  # it could not be read
        publish(file, save({"gradient": gradient}, about))
        return made


def _read(file: Path) -> ReferenceGradient | str | None:
    try:
        with safe_open(file, "pt") as stored:
            about = stored.metadata() or {}
            if "why" in about:
                return about["why"]
            return ReferenceGradient(stored.get_tensor("gradient"), **json.loads(about["oracle"]))
    except (OSError, SafetensorError, KeyError, ValueError, TypeError):
        return None


def _numbers(made: ReferenceGradient) -> dict[str, float | str]:
    """All that it says of itself beside the gradient."""
    return {f.name: getattr(made, f.name) for f in fields(made) if f.name != "gradient"}


@functools.lru_cache(maxsize=8)
def _computed(
    task: Task,
    images: Images,
    layout: Layout,
    size: int,
    seed: int,
    budget: int,
    draw: int,
    device: torch.device,
) -> ReferenceGradient | str:
    def on(place: torch.device) -> ReferenceGradient | str:
        problem = build_problem(task, images, layout, seed, dtype=torch.float64, device=place, draw=draw)
        batch = problem.train.select(torch.arange(size))
        try:
            return reference_gradient(
                problem.limit(batch),
                [p for p in problem.operator.parameters() if p.requires_grad],
                problem.start(batch),
                problem.criterion(batch),
                budget,
            )
        except NoReference as error:
            return str(error)

    try:
        return on(device)
    except Exception as error:
        if device == CPU or not out_of_memory(error):
            raise
        error.__traceback__ = None  # it would keep alive what has been allocated
    free_memory(device)
    return on(CPU)
