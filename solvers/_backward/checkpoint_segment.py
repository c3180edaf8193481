"""Checkpointing: repeat applications in the backward pass instead of keeping their tape."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop

from .._core.maps import Map
from .._core.tape import LeafVersions, check_same_value, tape_ends


@dataclass(slots=True)
class CheckpointSegment:
    """``size`` applications of which only the start is kept on the tape.

    The backward pass repeats them, with the same draws from the global random state (dropout). It raises a
    ``RuntimeError`` if a parameter, or the value of the last segment, has changed since.

    Attributes:
        T: the map.
        steps: ``(T, x, size) -> x`` after the applications.
        size: number of applications.
        recomputed: receives a 1 for every repeated application.
        last: whether this is the last segment. The backward pass repeats it first, so its checks suffice for all.
        applications: number of applications so far, repeated ones included.
        leaves: versions of the leaves of one application.
        value: the value without its tape, which would otherwise be a reference cycle, and its version.
    """

    T: Map
    steps: Callable[[Map, Tensor, int], Tensor]
    size: int
    recomputed: list[float]
    last: bool
    applications: int = 0
    leaves: LeafVersions | None = None
    value: tuple[Tensor, int] | None = field(default=None, repr=False)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the value after the segment."""
        # Without early stop the last segment is repeated to its end, where its value can be compared.
        with set_checkpoint_early_stop(not self.last):
            y: Tensor = checkpoint(self._run, x, use_reentrant=False)  # pyright: ignore[reportAssignmentType]
        if self.last:
            value = y.detach()
            self.value = value, value._version
        return y

    def _run(self, x: Tensor) -> Tensor:
        if self.applications and self.leaves is not None:
            self.leaves.check()
        y = self.steps(self._counted, x, self.size)
        if self.value is not None and self.value[0]._version == self.value[1]:
            check_same_value(y.detach(), self.value[0])
        return y

    def _counted(self, x: Tensor) -> Tensor:
        self.applications += 1
        if self.applications > self.size:  # in the backward pass
            self.recomputed.append(1)
        y = self.T(x)
        if self.last and self.applications == 1:
            self.leaves = LeafVersions(tape_ends(y, start=x).leaves)
        return y
