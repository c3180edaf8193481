"""What is kept of one step of a training, from the call of the solver to the end of its backward pass."""

# Hooks carry no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from .._core.certificate import Certificate
from .._core.input_checks import adopt
from .._core.maps import Loss, Map
from .._core.tape import Versions, current_pass, ends
from .tape_recorder import TapedApplication, TapeRecorder


class ForwardRecorder(TapeRecorder):
    """A ``TapeRecorder`` of the forward pass alone, which can do what T can, and knows the points that tapes begin in.

    What ``select`` gives is T's own: what is applied to some samples only is never the tape of the gradient.

    Attributes:
        points: leaves of the tape that are iterates, and no parameters.
        over: whether the forward pass is over; what is applied later (again, or for products) is taped in the same way,
            or ``torch.utils.checkpoint`` would refuse it, and not kept.
    """

    def __init__(self, T: Map) -> None:
        super().__init__(T)
        self.points: list[Tensor] = []
        self.over = False
        adopt(self, T)

    def __call__(self, x: Tensor) -> Tensor:
        """``T(x)``."""
        if not torch.is_grad_enabled():
            return self.T(x)
        if not x.requires_grad:
            x = x.detach().requires_grad_()
        if x.is_leaf and not self.over:
            self.points.append(x)
        y = TapeRecorder.__call__(self, x)
        if self.over:
            self.taped.clear()
        return y


class TrainingStep:
    """One step: what its forward pass left, and what the backward pass brings.

    Attributes:
        problem: the map, without a tap, and the loss that came with the call.
        y: the value that was returned, without its tape; a copy, which nobody can change.
        v: the cotangent that reached it.
        run: the number of the pass that brought it.
        parameters: leaves of its tape, without the iterates that the tap knows.
        gradients: of those that a gradient reached, by identity; of this pass alone.
        kept: the applications on the tape.
        own: the certificates that the solver makes itself.
    """

    def __init__(
        self, T: Map, loss: Loss | None, x: Tensor, through: ForwardRecorder | None, own: list[Certificate]
    ) -> None:
        self.own = own
        self.problem: tuple[Map, Loss | None] = (T, loss)
        self.y = self.v = x.detach().clone()
        self.run = -1
        self.kept: list[TapedApplication] = []
        points: set[int] = set()
        if through is not None:
            self.kept, points = list(through.taped), set(map(id, through.points))
            through.over = True
            through.taped.clear()
        # Of products in the forward pass. Not in ``begin``: a hook on x itself comes before.
        for kept in self.kept:
            kept.u = kept.a = None
        self.parameters = [leaf for leaf in ends(x).leaves if id(leaf) not in points]
        self.versions = Versions(self.parameters)
        if through is not None:
            through.points.clear()
        self.gradients: dict[int, Tensor] = {}
        self.handles: list[Callable[[], None]] = []

    @property
    def T(self) -> Map:
        """The map."""
        return self.problem[0]

    @property
    def loss(self) -> Loss | None:
        """The loss."""
        return self.problem[1]

    @property
    def stepped(self) -> bool:
        """Whether a parameter was changed in place since the forward pass."""
        return self.versions.stepped is not None

    def begin(self, v: Tensor) -> None:
        """The backward pass has come to the value: listen to the parameters."""
        self.v, self.run = v.detach().clone(), current_pass()
        for leaf in self.parameters:
            hook = leaf.register_hook(partial(self._reached, id(leaf)))
            self.handles.append(hook.remove)

    def taped(self) -> list[TapedApplication]:
        """The applications that the cotangent went through, in the pass that brought it."""
        return [kept for kept in self.kept if kept.u is not None and kept.run == self.run]

    def free(self) -> None:
        """Let go of everything, though the tape, and the hooks on it, may live on."""
        for remove in self.handles:
            remove()
        for kept in self.kept:
            kept.clear()
        self.kept, self.parameters, self.handles = [], [], []
        self.gradients, self.versions = {}, Versions(())
        self.y = self.v = self.y.new_empty(0)
        self.problem = (_gone, None)

    def _reached(self, leaf: int, gradient: Tensor) -> None:
        if current_pass() == self.run:  # and no pass inside it
            self.gradients[leaf] = gradient


def _gone(x: Tensor) -> Tensor:
    raise RuntimeError("the step is over")
