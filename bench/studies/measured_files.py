"""What a study has measured, a JSON file each, under a key of everything that decides it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch

from ..utils.atomic_files import write_atomically
from ..utils.json_values import finite
from ..utils.provenance import fingerprint, provenance, versions

Values = TypeVar("Values")


def measured_key(decides: Sequence[object], sources: tuple[str, ...]) -> str:
    """The name of a file: a digest of what was measured, of the sources that decide it, and of the versions.

    Args:
        decides: settings, whose ``str`` tells them apart.
        sources: files and folders of the project.
    """
    text = json.dumps([*map(str, decides), fingerprint(sources), versions()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def stored_values(file: Path, name: str, make: Callable[..., Values]) -> Values | None:
    """What ``make`` makes of the values under a name in a file; ``None`` if there is none, or it is damaged.

    A value of null is a nan.
    """
    try:
        values = _with_nan(json.loads(file.read_text(encoding="utf-8"))[name])
        return make(**values)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def store_values(file: Path, what: dict[str, object], name: str, values: dict[str, object]) -> None:
    """Write values under a name, what they are of, and their provenance.

    Raises:
        Unwritable: the disk is full, or may only be read.
    """
    content = {**what, name: finite(values), "provenance": provenance(torch.device("cpu"))}
    write_atomically(file, json.dumps(content, ensure_ascii=False, allow_nan=False))


def _with_nan(value: Any) -> Any:
    """Undo ``finite``."""
    if value is None:
        return math.nan
    if isinstance(value, dict):
        return {key: _with_nan(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_with_nan(entry) for entry in value]
    return value
