"""What a process does with a quality cell: measure it, publish its record, and say so."""

from __future__ import annotations

import io
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from safetensors.torch import save as write_safetensors

from ..measurement.measure import CellResult, measure
from ..measurement.memory import free_memory, largest_allocated, out_of_memory
from ..records.job import Job
from ..records.record import FINISHED, Record
from ..records.store import Store
from ..utils.atomic_files import Unwritable, make_folder, write_atomically
from ..utils.determinism import deterministic
from ..utils.errors import in_a_line
from ..utils.file_locks import POLL, file_lock, machine_lock
from ..utils.precision import disable_tf32
from ..utils.provenance import provenance
from .child_process import Last
from .process_pool import TaskResult
from .process_renewal import renew

Said: TypeAlias = tuple[str, str]
"""What a process says in the end: ``stored``, ``elsewhere`` or ``unwritable``, and why."""
ARRIVAL = 30.0
"""Seconds that a file written elsewhere may take to show on a shared disk."""
LEFT_OVER = 2**20
"""Bytes that a cell may leave on a GPU for another to be measured in its process."""


@dataclass(slots=True)
class Work:
    """What a process of cells does with each: everything but telling how it ended, which its record does.

    Attributes:
        out: the folder of the run.
        shared: its process is to measure other cells too.
        done: cells that it has measured in this process.
    """

    out: Path
    shared: bool = False
    done: int = 0

    def __call__(self, job: Job) -> Said | Last:
        """Measure the cell and publish its record, unless another run is at it."""
        store = Store(self.out)
        try:
            with file_lock(store.lock(job.key)) as free, file_lock(machine_lock(), shared=True, wait=True):
                if not free:
                    return "elsewhere", ""
                if store.finished(job.key):
                    return "stored", ""
                record = run_cell(job, self.out, self.done)
                self.done += 1
                if not (self.shared and _clean(record)):
                    return Last(("stored", ""))
                # Now, for the next job brings the modules of its user's files along.
                if record.provenance["left_over"] is None:  # on a GPU it was renewed to be counted
                    renew(torch.device(job.device))
                return "stored", ""
        except Unwritable as error:
            return "unwritable", str(error.strerror)


def _clean(record: Record) -> bool:
    """Whether a cell leaves its process fit for another one.

    It does not where it failed: after some errors a CUDA context refuses every call, and an exception may hold on to
    memory.
    """
    return record.status in FINISHED and (record.provenance.get("left_over") or 0) <= LEFT_OVER


def run_cell(job: Job, out: Path | None, before: int = 0) -> Record:
    """Measure a quality cell here and now; an exception becomes a record with the status ``error`` or ``oom``.

    With ``out`` the record is published there, and before it the weights that a network learned and the pictures
    of the first seed; a long training leaves checkpoints there until then.

    The provenance holds, beside ``provenance``: ``undetermined``, operations that may differ between runs; ``seconds``;
    ``peak_rss``, bytes, ``None`` where the process has measured other cells, for it is the peak of them all;
    ``peak_gpu``; ``left_over``, bytes still allocated on the GPU when the cell was done; and ``cells_before``.

    Args:
        job: the cell.
        out: the folder of the run; ``None`` for nowhere.
        before: cells that this process has measured, each followed by ``renew``.

    Raises:
        Unwritable: the disk is full, or may only be read.
    """
    device = torch.device(job.device)
    checkpoint = None if out is None else out / "checkpoints" / f"{job.key}.pt"
    if checkpoint is not None and job.profile.training.checkpoint:
        make_folder(checkpoint.parent)
    begin = time.perf_counter()
    with deterministic() as undetermined, disable_tf32():
        found = _attempt(job, device, checkpoint, False, out)
        if found.status == "oom":
            free_memory(device)
            found = _attempt(job, device, checkpoint, True, out)
    where = provenance(device) | {"undetermined": sorted(undetermined)} | _spent(begin, device, before)
    # After an error a GPU may answer no more; its process ends.
    where["left_over"] = renew(device) if device.type == "cuda" and found.status in FINISHED else None
    where["cells_before"] = before
    record = job.record(found.status, found.reason, found.values, where)
    if out is not None:
        _publish(job, record, found, out)
        if checkpoint is not None and record.status in FINISHED:
            checkpoint.unlink(missing_ok=True)
    return record


def _spent(begin: float, device: torch.device, before: int) -> dict[str, object]:
    """Seconds since ``begin``, and the most bytes that this process and its GPU have held for this cell."""
    gpu = largest_allocated(device) if device.type == "cuda" else None
    # Kilobytes on Linux, bytes on a Mac.
    unit = 1 if sys.platform == "darwin" else 1024
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"seconds": time.perf_counter() - begin, "peak_rss": None if before else rss, "peak_gpu": gpu}


def _attempt(
    job: Job, device: torch.device, checkpoint: Path | None, alone: bool, out: Path | None
) -> CellResult:
    try:
        # The key of a reference does not know the files that a task is from.
        files = [source.digest for source in job.cell.task_sources]
        shared = None if out is None else Path(out, "references", *files)
        found = measure(job.cell, job.profile, job.images, device, checkpoint, alone, shared)
        if device.type == "cuda":
            # What goes wrong on a GPU is told of later: it is this cell's, not the next one's.
            torch.cuda.synchronize(device)
        return found
    except Unwritable:
        raise
    except Exception as error:
        line = in_a_line(error, 300)
        # Its traceback would keep everything alive that the attempt had allocated.
        error.__traceback__ = None
        return CellResult("oom" if out_of_memory(error) else "error", line)


def _publish(job: Job, record: Record, found: CellResult, out: Path) -> None:
    store = Store(out)
    if found.weights:
        make_folder(out / "weights")
        tensors = {name: tensor.contiguous() for name, tensor in found.weights.items()}
        write_atomically(out / "weights" / f"{job.key}.safetensors", write_safetensors(tensors))
    if found.panels and job.cell.seed == job.profile.seeds[0]:
        buffer = io.BytesIO()
        pictures = {name: image.numpy() for name, image in found.panels.items()}
        np.savez_compressed(buffer, allow_pickle=False, **pictures)
        write_atomically(store.rows / f"{job.key}.npz", buffer.getvalue())
    store.write(record)


def record_of(ended: TaskResult[Job], store: Store, seconds: float, where: dict[str, object]) -> Record:
    """The record that a process left, or one that says why it left none; ``where`` is its provenance."""
    job = ended.task
    record = store.read(job.key) if ended.answer else None
    end = time.monotonic() + ARRIVAL
    while record is None and ended.answer and time.monotonic() < end:
        time.sleep(POLL)
        record = store.read(job.key)
    if record is None:
        status = "timeout" if ended.late else "killed"
        reason = f"not done after {seconds:g} s" if ended.late else ended.reason or "it left no record"
        record = job.record(status, reason, {}, where)
        store.write(record)
    return record
