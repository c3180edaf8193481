"""Applications that are made again on the way back, in place of being kept."""

# The types of torch.utils.checkpoint are partial.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop

from .._core.maps import Map
from .._core.tape import Versions, ends, same


@dataclass(slots=True)
class CheckpointSegment:
    """``size`` applications of which the start alone is kept.

    What is drawn from the global random state, as dropout does, is drawn again. Where they are made again, the
    parameters must be those of the way there, and the value must be.

    Attributes:
        T: the map.
        steps: ``(T, x, size) -> x`` after the applications.
        size: how many.
        recomputed: gets a 1 for every application that is made again.
        last: whether there is none after it. Its value is compared: it is the first that is made again.
        seen: applications so far.
        leaves: of one application.
        value: without its tape, which would hold itself through it; and the version that it had.
    """

    T: Map
    steps: Callable[[Map, Tensor, int], Tensor]
    size: int
    recomputed: list[float]
    last: bool
    seen: int = 0
    leaves: Versions | None = None
    value: tuple[Tensor, int] | None = field(default=None, repr=False)

    def __call__(self, x: Tensor) -> Tensor:
        """The value after the segment."""
        # To its end, where its value can be compared.
        with set_checkpoint_early_stop(not self.last):
            found: Tensor = checkpoint(self._run, x, use_reentrant=False)  # pyright: ignore[reportAssignmentType]
        if self.last:
            value = found.detach()
            self.value = value, value._version
        return found

    def _run(self, x: Tensor) -> Tensor:
        if self.seen and self.leaves is not None:
            self.leaves.check()
        value = self.steps(self._counted, x, self.size)
        if self.value is not None and self.value[0]._version == self.value[1]:
            same(value.detach(), self.value[0])
        return value

    def _counted(self, x: Tensor) -> Tensor:
        self.seen += 1
        if self.seen > self.size:  # on the way back
            self.recomputed.append(1)
        y = self.T(x)
        if self.last and self.seen == 1:
            self.leaves = Versions(ends(y, start=x).leaves)
        return y
