"""A record: everything measured of one cell, raw, with its key and its checksum."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

import torch

from ..config.matrix import Cell
from ..config.profile_schema import Profile, with_new_keys
from ..utils import provenance
from ..utils.json_values import finite

SCHEMA = 3
"""3: random streams of their own, counts in whole batches, errors over draws, losses at the equilibrium."""


READABLE = frozenset({2, SCHEMA})
"""Schemas that tables and comparisons still read; what an older one did not measure is missing from them."""


Kind = Literal["quality", "cost"]


FINISHED = frozenset({"ok", "nan", "diverged"})
"""Outcomes that a further run would only repeat. Any other is tried again."""


@dataclass(frozen=True, slots=True)
class Record:
    """What was measured of one cell, raw.

    Attributes:
        key: digest of everything that decides the result.
        kind: ``quality`` (accuracy, training, memory) or ``cost`` (seconds, measured alone).
        task, solver: as they are written on the command line.
        composition: the solver as reach × pull.
        seed: of crops, masks, noise and the order of training.
        status: ``ok``, ``nan``, ``diverged``; ``error``, ``oom`` (out of memory), ``timeout`` or ``killed``.
        reason: why it is not ``ok``, in a line.
        settings: dtype, device kind, images and the profile's tables; ``files``, the user's own by their digests,
            where the task or the solver is from one.
        values: numbers and lists of numbers; ``null`` where a number is not finite.
        provenance: versions, device, commit.
    """

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

    @property
    def crop(self) -> int:
        """The side of its images in pixels; 0 where nothing is known of them."""
        return self.settings.get("images", {}).get("crop", 0)

    @property
    def batch(self) -> int:
        """Crops in a training step: no more than there are; 0 where nothing is known of them."""
        size = self.settings.get("training", {}).get("batch", 0)
        return min(size, self.settings.get("images", {}).get("train", size))

    @property
    def identity(self) -> tuple[str, str, int, int, str, int]:
        """What two runs have in common when they measured the same thing."""
        return self.kind, self.task, self.crop, self.batch, self.solver, self.seed

    def to_json(self) -> str:
        """One JSON object on one line, keys sorted, no ``NaN``; with the ``checksum`` of everything else."""
        content = finite(asdict(self))
        return _line(content | {"checksum": _checksum(content)})

    @classmethod
    def from_json(cls, text: str) -> Record:
        """The record in ``text``. Raises ``ValueError`` if it is not one, or was cut short or changed."""
        try:
            found = json.loads(text)
        except RecursionError as error:
            raise ValueError("not a record") from error
        if not isinstance(found, dict) or set(found) != {f.name for f in fields(cls)} | {"checksum"}:
            raise ValueError("not a record")
        try:
            fits = found.pop("checksum") == _checksum(found)
        except RecursionError as error:
            raise ValueError("not a record") from error
        if not fits:
            raise ValueError("its checksum does not fit")
        if not all(isinstance(found[name], kind) for name, kind in TYPES.items()):
            raise ValueError("not a record")
        return cls(**found | {"settings": with_new_keys(found["settings"])})


TYPES = {
    **dict.fromkeys(("key", "kind", "task", "solver", "composition", "status", "reason"), str),
    "seed": int,
    **dict.fromkeys(("settings", "values", "provenance"), dict),
}


def _line(content: dict[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(_line(content).encode()).hexdigest()[:16]


def settings(profile: Profile, images: str, device: torch.device, kind: Kind) -> dict[str, Any]:
    """What of a profile decides a cell's result, beside its task, solver and seed."""
    tables = (
        ("images", "training", "timing")
        if kind == "cost"
        else ("images", "training", "equilibrium", "oracle")
    )
    return {
        "dtype": profile.dtype,
        "threads": profile.threads,
        "execution": profile.execution,
        "device": device.type,
        # Seconds belong to a machine; the rest does not.
        "machine": provenance.device_name(device) if kind == "cost" else None,
        "images_digest": images,
        **{name: getattr(profile, name).model_dump() for name in tables},
    }


def key_of(cell: Cell, given: dict[str, Any], kind: Kind) -> str:
    """Digest of everything that decides the result of a cell."""
    decides = {
        "schema": SCHEMA,
        "kind": kind,
        "task": repr(cell.task),
        "solver": repr(cell.solver),
        "seed": cell.seed,
        "settings": given,
        "fingerprint": provenance.fingerprint(provenance.TIMING if kind == "cost" else provenance.QUALITY),
        "versions": provenance.versions(),
    }
    if cell.files:
        decides["files"] = cell.files
    text = json.dumps(decides, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
