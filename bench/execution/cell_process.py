"""Measure a quality cell in a process of a pool, and publish its record."""

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
from .child_process import FinalAnswer
from .process_pool import TaskResult
from .process_renewal import renew

Answer: TypeAlias = tuple[str, str]
"""``(status, reason)``; the status is ``stored``, ``elsewhere`` (another run measures the cell) or ``unwritable``."""
ARRIVAL = 30.0
"""Seconds that a file of another machine may take to appear on a shared disk."""
LEFT_OVER = 2**20
"""Bytes on a GPU that a cell may leave allocated, for its process to measure another one."""


@dataclass(slots=True)
class CellWork:
    """Work of a process of quality cells; the answer is only a status, for the record is a file.

    ``shared``: the process may measure several cells, and has measured ``done``.
    """

    out: Path
    shared: bool = False
    done: int = 0

    def __call__(self, job: Job) -> Answer | FinalAnswer:
        """Measure the cell and publish its record, unless another run holds its lock."""
        store = Store(self.out)
        try:
            with file_lock(store.lock(job.key)) as free, file_lock(machine_lock(), shared=True, wait=True):
                if not free:
                    return "elsewhere", ""
                if store.finished(job.key):
                    return "stored", ""
                record = run_cell(job, self.out, self.done)
                self.done += 1
                if not (self.shared and _reusable(record)):
                    return FinalAnswer(("stored", ""))
                # Before the next job is unpickled, which imports the modules of its user's files.
                if record.provenance["left_over"] is None:  # else run_cell renewed the process
                    renew(torch.device(job.device))
                return "stored", ""
        except Unwritable as error:
            return "unwritable", str(error.strerror)


def _reusable(record: Record) -> bool:
    """Whether the process of a cell may measure another one.

    Not after a failure: a CUDA context may refuse every call after an error, and an exception may keep memory alive.
    """
    return record.status in FINISHED and (record.provenance.get("left_over") or 0) <= LEFT_OVER


def run_cell(job: Job, out: Path | None, before: int = 0) -> Record:
    """Measure a quality cell in this process; an exception gives a record with the status ``error`` or ``oom``.

    With ``out``, the record is published there, preceded by learned weights of networks and, for the first seed, the
    pictures; a long training keeps checkpoints there while it runs.

    Entries of the record's provenance beside those of ``provenance()``: ``undetermined``, operations that may differ
    between runs; ``seconds``; ``peak_rss``, bytes, ``None`` if the process measured other cells before, whose peaks are
    included; ``peak_gpu``, bytes; ``left_over``, bytes still allocated on the GPU afterwards; ``cells_before``, the
    number ``before`` of cells of this process, each followed by ``renew``.

    Raises:
        Unwritable: the disk is full or read-only.
    """
    device = torch.device(job.device)
    checkpoint = None if out is None else out / "checkpoints" / f"{job.key}.pt"
    if checkpoint is not None and job.profile.training.checkpoint:
        make_folder(checkpoint.parent)
    begin = time.perf_counter()
    with deterministic() as undetermined, disable_tf32():
        result = _attempt(job, device, checkpoint, False, out)
        if result.status == "oom":
            free_memory(device)
            result = _attempt(job, device, checkpoint, True, out)
    cuda = device.type == "cuda"
    seconds, peak_gpu = time.perf_counter() - begin, largest_allocated(device) if cuda else None
    # ru_maxrss is in kilobytes on Linux, in bytes on macOS.
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    origin = provenance(device) | {
        "undetermined": sorted(undetermined),
        "seconds": seconds,
        "peak_rss": None if before else rss,
        "peak_gpu": peak_gpu,
        # Not after an error, when a GPU may refuse every call; the process ends then anyway.
        "left_over": renew(device) if cuda and result.status in FINISHED else None,
        "cells_before": before,
    }
    record = job.record(result.status, result.reason, result.values, origin)
    if out is not None:
        _publish(job, record, result, out)
        if checkpoint is not None and record.status in FINISHED:
            checkpoint.unlink(missing_ok=True)
    return record


def _attempt(
    job: Job, device: torch.device, checkpoint: Path | None, per_sample: bool, out: Path | None
) -> CellResult:
    try:
        # In a folder by the digest of a user's files, which the key of a reference does not contain.
        digests = [source.digest for source in job.cell.task_sources]
        references = None if out is None else Path(out, "references", *digests)
        result = measure(job.cell, job.profile, job.images, device, checkpoint, per_sample, references)
        if device.type == "cuda":
            # CUDA reports errors late; one of this cell must not be reported in the next.
            torch.cuda.synchronize(device)
        return result
    except Unwritable:
        raise
    except Exception as error:
        reason = in_a_line(error, 300)
        error.__traceback__ = None  # its frames keep the tensors of the attempt alive
        return CellResult("oom" if out_of_memory(error) else "error", reason)


def _publish(job: Job, record: Record, result: CellResult, out: Path) -> None:
    store = Store(out)
    if result.weights:
        make_folder(out / "weights")
        tensors = {name: tensor.contiguous() for name, tensor in result.weights.items()}
        write_atomically(out / "weights" / f"{job.key}.safetensors", write_safetensors(tensors))
    if result.panels and job.cell.seed == job.profile.seeds[0]:
        buffer = io.BytesIO()
        pictures = {name: image.numpy() for name, image in result.panels.items()}
        np.savez_compressed(buffer, allow_pickle=False, **pictures)
        write_atomically(store.rows / f"{job.key}.npz", buffer.getvalue())
    store.write(record)


def record_of(result: TaskResult[Job], store: Store, limit: float, origin: dict[str, object]) -> Record:
    """Read the record that a process published; if there is none, write one that gives the reason.

    ``limit`` is the time limit in seconds, ``origin`` the provenance of a record that is written here.
    """
    job = result.task
    record = store.read(job.key) if result.answer else None
    end = time.monotonic() + ARRIVAL
    while record is None and result.answer and time.monotonic() < end:
        time.sleep(POLL)
        record = store.read(job.key)
    if record is None:
        status = "timeout" if result.timed_out else "killed"
        reason = f"not done after {limit:g} s" if result.timed_out else result.reason or "it left no record"
        record = job.record(status, reason, {}, origin)
        store.write(record)
    return record
