"""The reference gradient of a task and seed, computed once a run and shared by its cells."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ..operators import forward_backward, peaceman_rachford, primal_dual
from ..operators.splitting import HasAnalysis, HasRegulariser
from ..tasks import Task, build_problem
from ..tasks.images import Images, Layout
from ..utils import provenance
from ..utils.atomic_files import make_folder, publish
from ..utils.errors import UserError
from ..utils.file_locks import file_lock
from .hypergradient import NoReference, ReferenceGradient, reference_gradient
from .memory import free_memory, out_of_memory

CPU = torch.device("cpu")
SPLITTINGS = (peaceman_rachford(), forward_backward(), primal_dual())
"""Operators for references of convex penalties, the first that admits the penalty; a denoiser has forward–backward."""


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
    """Return the float64 reference gradient at the initial parameters, or the reason why there is none.

    The loss is that of the first ``size`` training crops. The problem is the same on every device. With ``folder``, the
    first process that needs the gradient stores it there for all others on a device of this type.

    The result is on the CPU. If ``device`` lacks the memory, the CPU computes it: a float64 solve takes more memory
    than many estimators, and a cell whose own estimator fits must not fail by it. ``draw`` numbers the draw of the mask
    and the noise.
    """

    task = reference_task(task)

    def compute() -> ReferenceGradient | str:
        return _computed(task, images, layout, size, seed, budget, draw, device)

    if folder is None:
        return compute()
    problem = [repr(task), images.digest, asdict(layout), size, seed, budget, draw, device.type]
    problem += [provenance.fingerprint(), provenance.versions()]
    key = hashlib.sha256(json.dumps(problem, sort_keys=True).encode()).hexdigest()[:20]
    return _shared(folder, key, compute)


def reference_task(task: Task) -> Task:
    """The task on the operator that its reference gradient is computed with.

    All operators of one equilibrium have the same gradient (claim C37), so the one that contracts most is taken: one of
    ``SPLITTINGS`` for a convex penalty, forward–backward for a denoiser. A prior that admits none keeps the operator of
    the task.
    """
    if not task.splitting.same_equilibrium:
        return task
    convex = isinstance(task.prior, HasRegulariser | HasAnalysis)
    for splitting in SPLITTINGS if convex else (forward_backward(),):
        if not splitting.refusal(task.prior):
            return replace(task, splitting=splitting)
    return task


def _shared(
    folder: Path, key: str, compute: Callable[[], ReferenceGradient | str]
) -> ReferenceGradient | str:
    file = folder / f"{key}.safetensors"
    if (stored := _read(file)) is not None:
        return stored
    make_folder(folder)
    with file_lock(folder / f"{key}.lock", wait=True):
        if (stored := _read(file)) is not None:
            return stored
        reference = compute()
        if isinstance(reference, str):
            gradient, metadata = torch.zeros(0), {"why": reference}
        else:
            scalars = {f.name: getattr(reference, f.name) for f in fields(reference) if f.name != "gradient"}
            gradient, metadata = reference.gradient.contiguous(), {"oracle": json.dumps(scalars)}
        file.unlink(missing_ok=True)  # damaged, if it exists
        publish(file, save({"gradient": gradient}, metadata))
        return reference


def _read(file: Path) -> ReferenceGradient | str | None:
    try:
        with safe_open(file, "pt") as stored:
            metadata = stored.metadata() or {}
            if "why" in metadata:
                return metadata["why"]
            return ReferenceGradient(stored.get_tensor("gradient"), **json.loads(metadata["oracle"]))
    except (OSError, SafetensorError, KeyError, ValueError, TypeError):
        return None


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
    def compute_on(device: torch.device) -> ReferenceGradient | str:
        build = functools.partial(build_problem, dtype=torch.float64, device=device, draw=draw)
        try:
            problem = build(task, images, layout, seed)
        except UserError:  # a physics whose data term has no prox in closed form
            if not task.splitting.same_equilibrium or task.splitting == forward_backward():
                raise
            problem = build(replace(task, splitting=forward_backward()), images, layout, seed)
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
        return compute_on(device)
    except Exception as error:
        if device == CPU or not out_of_memory(error):
            raise
        error.__traceback__ = None  # its frames keep the tensors of the attempt alive
    free_memory(device)
    return compute_on(CPU)
