"""Where a number comes from: versions, device, commit, and the sources that decide the result."""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
import platform
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch

from .. import ROOT

PACKAGES = ("torch", "deepinv", "ptwt", "numpy", "safetensors")
QUALITY = (
    "solvers",
    "bench/denoisers",
    "bench/external",
    "bench/measurement",
    "bench/operators",
    "bench/penalties",
    "bench/tasks",
    "bench/utils/determinism.py",
    "bench/utils/precision.py",
    "bench/utils/random_streams.py",
)
"""Sources that decide what a cell measures; a change in any of them makes stored cells stale."""
TIMING = (*QUALITY, "bench/timing")
"""Sources that decide what a timing measures."""


@functools.cache
def fingerprint(sources: tuple[str, ...] = QUALITY) -> str:
    """Digest of files, and of all Python files and ``SHA256SUMS`` in folders."""
    total = hashlib.sha256()
    for entry in sources:
        path = ROOT / entry
        inside = sorted([*path.rglob("*.py"), *path.rglob("SHA256SUMS")]) if path.is_dir() else [path]
        for file in inside:
            total.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()[:16]


@functools.cache
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a result."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


COMMIT = "EQGRAD_COMMIT"
"""The variable that tells the commit of a tree that has travelled without its ``.git``."""


@functools.cache
def commit() -> tuple[str, bool]:
    """The commit of the checkout and whether files differ from it.

    Outside git it is what ``EQGRAD_COMMIT`` says, taken for clean, or ``("unknown", True)``.
    """

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True, timeout=20
        ).stdout.strip()

    try:
        # Results are what runs write: they make no measurement dirty.
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--", ".", ":!results"))
    except (OSError, subprocess.SubprocessError):
        told = os.environ.get(COMMIT, "").strip()
        return (told, False) if told else ("unknown", True)


def device_name(device: torch.device) -> str:
    """The model of the accelerator, or of the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def gpu_state(device: torch.device) -> dict[str, object] | None:
    """Driver, clocks, power and temperature of a GPU as they are now.

    Returns:
        ``driver``; ``sm_mhz`` and ``memory_mhz``; ``watts`` and their ``limit_watts``; ``performance_state`` (0 is
        the fastest); ``celsius``; ``throttled``, the driver's bit mask of reasons; each ``None`` where the driver or
        a container refuses it. ``None`` on a CPU, without nvidia-ml-py, or where nothing answers.
    """
    if device.type != "cuda":
        return None
    try:
        # Optional, and not installed with the project: a GPU can be timed without it.
        nvml = importlib.import_module("pynvml")
        nvml.nvmlInit()
    except Exception:
        return None
    try:
        # By its UUID: CUDA may count the cards otherwise, or be shown only some.
        handle = nvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        questions: dict[str, Callable[[], object]] = {
            "driver": lambda: str(nvml.nvmlSystemGetDriverVersion()),
            "sm_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
            "memory_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM),
            "watts": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1e3,
            "limit_watts": lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1e3,
            "performance_state": lambda: nvml.nvmlDeviceGetPerformanceState(handle),
            "celsius": lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
            "throttled": lambda: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle),
        }
        return {name: _answer(question) for name, question in questions.items()}
    except Exception:  # what a driver or a container refuses, no timing needs
        return None
    finally:
        nvml.nvmlShutdown()


def _answer(question: Callable[[], object]) -> object:
    try:
        return question()
    except Exception:
        return None


def card(device: torch.device) -> dict[str, object]:
    """What decides the seconds of a GPU beside its name and its clocks.

    Returns:
        ``capability``, ``multiprocessors`` and ``memory_bytes``; ``cudnn``, its version.
    """
    found = torch.cuda.get_device_properties(device)
    return {
        "capability": f"{found.major}.{found.minor}",
        "multiprocessors": found.multi_processor_count,
        "memory_bytes": found.total_memory,
        "cudnn": torch.backends.cudnn.version(),
    }


def provenance(device: torch.device) -> dict[str, object]:
    """Everything about the machine and the code that a reader of a record may ask for."""
    head, dirty = commit()
    return {
        "commit": head,
        "dirty": dirty,
        "fingerprint": fingerprint(),
        "versions": versions(),
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        "platform": f"{platform.system()} {platform.machine()}",
        "device": device_name(device),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        **({"card": card(device)} if device.type == "cuda" else {}),
    }
