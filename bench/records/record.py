"""A record: everything measured of one cell, raw, with its key and its checksum."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import torch
from pydantic import ConfigDict, TypeAdapter

from ..config.call_syntax import method_label
from ..config.matrix import Cell
from ..config.profile_schema import Profile, with_new_keys
from ..operators.splitting import FORWARD_BACKWARD
from ..utils import provenance
from ..utils.json_values import finite

SCHEMA = 3
"""3: separate random streams, counts in whole batches, errors over several draws, losses at the equilibrium."""

READABLE = frozenset({2, SCHEMA})
"""Schemas that tables and comparisons read; values that an older schema lacks are missing there."""

Kind = Literal["quality", "cost"]

FINISHED = frozenset({"ok", "nan", "diverged"})
"""Outcomes that another run would repeat. A cell with any other outcome runs again."""


@dataclass(frozen=True, slots=True)
class Record:
    """Raw measurements of one cell.

    Attributes:
        key: digest of everything that decides the result.
        kind: ``quality`` (accuracy, training, memory) or ``cost`` (seconds, measured alone).
        task, solver: labels, as on the command line.
        composition: the solver as forward solver × backward mode.
        seed: of crops, masks, noise and the order of training.
        status: ``ok``, ``nan``, ``diverged``; ``error``, ``oom`` (out of memory), ``timeout`` or ``killed``.
        reason: why the status is not ``ok``, in a line.
        settings: dtype, kind of device, images and the profile's tables; ``files``, names of the user's files by
            digest, if the task or the solver comes from one.
        values: numbers and lists of numbers; ``null`` where a number is not finite.
        provenance: versions, device, commit.
        operator: label of the splitting; records of older versions hold none, and are of forward–backward.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    key: str
    kind: Kind
    task: str
    solver: str
    composition: str
    seed: int
    status: str
    reason: str
    settings: dict[str, Any]
    values: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    operator: str = FORWARD_BACKWARD

    @property
    def method(self) -> str:
        """The solver and its operator, as tables name them."""
        return method_label(self.solver, self.operator)

    @property
    def crop(self) -> int:
        """Side of the images in pixels; 0 if unknown."""
        return self.settings.get("images", {}).get("crop", 0)

    @property
    def batch(self) -> int:
        """Crops in a training step, at most all training crops; 0 if unknown."""
        size = self.settings.get("training", {}).get("batch", 0)
        return min(size, self.settings.get("images", {}).get("train", size))

    @property
    def identity(self) -> tuple[str, str, int, int, str, int]:
        """Equal for records of two runs that measured the same cell."""
        return self.kind, self.task, self.crop, self.batch, self.method, self.seed

    def to_json(self) -> str:
        """One JSON object on one line, keys sorted, no ``NaN``; with the ``checksum`` of everything else."""
        content = finite(asdict(self))
        return _line(content | {"checksum": _checksum(content)})

    @classmethod
    def from_json(cls, text: str) -> Record:
        """Parse a record; settings under old keys of profiles come under the present ones.

        Raises:
            ValueError: ``text`` is no record, or was cut short or changed.
        """
        try:
            content = json.loads(text)
            intact = content.pop("checksum") == _checksum(content)
        except (RecursionError, AttributeError, KeyError, TypeError) as error:
            raise ValueError("not a record") from error
        if not intact:
            raise ValueError("its checksum does not fit")
        record = _RECORD.validate_python(content)
        return replace(record, settings=with_new_keys(record.settings))


_RECORD = TypeAdapter(Record)


def _line(content: dict[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(_line(content).encode()).hexdigest()[:16]


def settings(profile: Profile, images: str, device: torch.device, kind: Kind) -> dict[str, Any]:
    """Settings that decide a cell's result, beside its task, solver and seed. ``images`` is their digest."""
    tables = ("timing",) if kind == "cost" else ("equilibrium", "oracle")
    return {
        "dtype": profile.dtype,
        "threads": profile.threads,
        "execution": profile.execution,
        "device": device.type,
        # Seconds depend on the machine; other values must not.
        "machine": provenance.device_name(device) if kind == "cost" else None,
        "images_digest": images,
        **{name: getattr(profile, name).model_dump() for name in ("images", "training", *tables)},
    }


def key_of(cell: Cell, settings: dict[str, Any], kind: Kind) -> str:
    """Digest of everything that decides the result of a cell."""
    decides = {
        "schema": SCHEMA,
        "kind": kind,
        "task": repr(cell.task),
        "solver": repr(cell.solver),
        "seed": cell.seed,
        "settings": settings,
        "fingerprint": provenance.fingerprint(provenance.TIMING if kind == "cost" else provenance.QUALITY),
        "versions": provenance.versions(),
    }
    if cell.files:
        decides["files"] = cell.files
    text = json.dumps(decides, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
