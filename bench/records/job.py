"""One cell of a run, as it is sent to the process that measures it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..config.matrix import Cell
from ..config.profile_schema import Profile
from ..tasks.images import Images
from .record import Kind, Record, settings


@dataclass(frozen=True, slots=True)
class Job:
    """A cell with everything that its measurement needs; ``profile`` is the part of the profile that lists it."""

    key: str
    kind: Kind
    cell: Cell
    profile: Profile
    images: Images
    device: str

    def record(self, status: str, reason: str, values: dict[str, object], where: dict[str, object]) -> Record:
        """Make the record of this cell. ``where`` is its provenance."""
        files = {"files": self.cell.files} if self.cell.files else {}
        return Record(
            self.key,
            self.kind,
            self.cell.task.label,
            self.cell.solver.label,
            self.cell.solver.composition,
            self.cell.seed,
            status,
            reason,
            settings(self.profile, self.images.digest, torch.device(self.device), self.kind) | files,
            values,
            where,
            self.cell.task.splitting.label,
        )
