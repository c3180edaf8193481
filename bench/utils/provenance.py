"""Provenance of a result: versions, device, commit, and a digest of the sources that decide it."""

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

from .. import INSTALLED, ROOT

PACKAGES = ("torch", "deepinv", "pywavelets", "numpy", "safetensors")
QUALITY = (
    "solvers",
    "bench/denoisers",
    "bench/external",
    "bench/measurement",
    "bench/operators",
    "bench/penalties",
    "bench/regularisers",
    "bench/spectra",
    "bench/tasks",
    "bench/utils/determinism.py",
    "bench/utils/precision.py",
    "bench/utils/random_streams.py",
)
"""Sources that decide the values of a cell. An edit in them makes stored cells stale; so only code that can change a
number belongs here, and a table or a command can be edited without a new run."""
OTHERS = ("bench", "theory_checks")
TIMING = (*QUALITY, "bench/timing")
"""Sources that decide the seconds of a cell: also the protocol of the timings."""


@functools.cache
def fingerprint(sources: tuple[str, ...] = QUALITY) -> str:
    """Digest of files, and of the Python files and ``SHA256SUMS`` in folders."""
    digest = hashlib.sha256()
    for source in sources:
        for file in _files(source):
            digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _files(source: str) -> list[Path]:
    path = ROOT / source
    if INSTALLED and source == "solvers":  # a wheel has them beside its other packages
        return [file for file in sorted(ROOT.rglob("*.py")) if file.relative_to(ROOT).parts[0] not in OTHERS]
    return sorted([*path.rglob("*.py"), *path.rglob("SHA256SUMS")]) if path.is_dir() else [path]


@functools.cache
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a result."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


@functools.cache
def commit() -> tuple[str, bool]:
    """The commit of the checkout, and whether files differ from it.

    Outside git, and in a wheel, the environment variable ``EQGRAD_COMMIT`` names the commit, and the tree counts as
    clean; without it the answer is ``("unknown", True)``.
    """

    def git(*arguments: str) -> str:
        if INSTALLED:
            raise OSError("a repository around a wheel is another project's")
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()

    try:
        # Runs write to results/: that changes no source.
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--", ".", ":!results"))
    except (OSError, subprocess.SubprocessError):
        name = os.environ.get("EQGRAD_COMMIT", "").strip()
        return (name, False) if name else ("unknown", True)


def device_name(device: torch.device) -> str:
    """The model of the GPU or of the processor."""
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
    """Driver, clocks, power and temperature of a GPU at this moment.

    Returns:
        Values by the names below; ``performance_state`` 0 is the fastest, and ``throttled`` the driver's bit mask of
        reasons. A value is ``None`` if the driver or a container refuses it. The result is ``None`` on a CPU, and
        without nvidia-ml-py or a driver.
    """
    if device.type != "cuda":
        return None
    try:
        nvml = importlib.import_module("pynvml")  # optional: a GPU can be timed without it
        nvml.nvmlInit()
    except Exception:
        return None
    try:
        # By UUID: CUDA may number the GPUs differently, or see only some of them.
        handle = nvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        queries: dict[str, Callable[[], object]] = {
            "driver": lambda: str(nvml.nvmlSystemGetDriverVersion()),
            "sm_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
            "memory_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM),
            "watts": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1e3,
            "limit_watts": lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1e3,
            "performance_state": lambda: nvml.nvmlDeviceGetPerformanceState(handle),
            "celsius": lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
            "throttled": lambda: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle),
        }
        return {name: _answer(query) for name, query in queries.items()}
    except Exception:  # no timing depends on an answer
        return None
    finally:
        nvml.nvmlShutdown()


def _answer(query: Callable[[], object]) -> object:
    try:
        return query()
    except Exception:
        return None


def provenance(device: torch.device) -> dict[str, object]:
    """Machine and code of a record; on a GPU also ``card``, the properties that decide its speed."""
    head, dirty = commit()
    card: dict[str, object] = {}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        card["card"] = {
            "capability": f"{properties.major}.{properties.minor}",
            "multiprocessors": properties.multi_processor_count,
            "memory_bytes": properties.total_memory,
            "cudnn": torch.backends.cudnn.version(),
        }
    return card | {
        "commit": head,
        "dirty": dirty,
        "fingerprint": fingerprint(),
        "versions": versions(),
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        "platform": f"{platform.system()} {platform.machine()}",
        "device": device_name(device),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }
