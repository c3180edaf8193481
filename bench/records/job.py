"""One cell of a matrix, as it travels to the process that measures it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..config.matrix import Cell
from ..config.profile_schema import Profile
from ..tasks.images import Images
from .record import Kind, Record, settings


@dataclass(frozen=True, slots=True)
class Job:
    """One cell, ready to be measured in any process."""

    key: str
    kind: Kind
    cell: Cell
    profile: Profile
    images: Images
    device: str

    def record(self, status: str, reason: str, values: dict[str, object], where: dict[str, object]) -> Record:
        """The record of this cell."""
        given = settings(self.profile, self.images.digest, torch.device(self.device), self.kind)
        return Record(
            self.key,
            self.kind,
            self.cell.task.label,
            self.cell.solver.label,
            self.cell.solver.composition,
            self.cell.seed,
            status,
            reason,
            given | ({"files": files} if (files := self.cell.files) else {}),
            values,
            where,
        )
