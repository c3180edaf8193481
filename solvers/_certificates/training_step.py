"""Record one training step, from the call of the solver to the end of its backward pass."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from .._core.certificate import Certificate
from .._core.input_checks import copy_protocols
from .._core.maps import Loss, Map
from .._core.tape import LeafVersions, backward_pass_id, tape_ends
from .tape_recorder import TapedApplication, TapeRecorder


class ForwardRecorder(TapeRecorder):
    """A ``TapeRecorder`` of the forward pass alone, with the optional methods of T.

    ``select`` is T's own: an application to some samples is never part of the tape of the gradient.

    Attributes:
        points: leaves of the tape that are iterates, not parameters.
        over: whether the forward pass is over. Later applications are taped in the same way, because
            ``torch.utils.checkpoint`` refuses another tape, but not recorded.
    """

    def __init__(self, T: Map) -> None:
        super().__init__(T)
        self.points: list[Tensor] = []
        self.over = False
        copy_protocols(self, T)

    def __call__(self, x: Tensor) -> Tensor:
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
    """The record of one step of a solver that maps T and a loss to x.

    Attributes:
        own_certificates: certificates that the solver computes itself.
        y, v: a copy of x, and its cotangent.
        run: number of the backward pass.
        applications: the applications on the tape.
        parameters: leaves of the tape, without iterates.
        gradients: of the parameters, by ``id``, of this backward pass alone.
    """

    def __init__(
        self, T: Map, loss: Loss | None, x: Tensor, recorder: ForwardRecorder | None, own: list[Certificate]
    ) -> None:
        self.map, self.loss, self.own_certificates = T, loss, own
        self.y = self.v = x.detach().clone()
        self.run = -1
        self.applications: list[TapedApplication] = []
        points: set[int] = set()
        if recorder is not None:
            self.applications, points = list(recorder.taped), set(map(id, recorder.points))
            recorder.over = True
            recorder.taped.clear()
        # Drop cotangents of products in the forward pass. In `begin` it would be too late: a hook on x runs earlier.
        for application in self.applications:
            application.u = application.a = None
        self.parameters = [leaf for leaf in tape_ends(x).leaves if id(leaf) not in points]
        self.versions = LeafVersions(self.parameters)
        if recorder is not None:
            recorder.points.clear()
        self.gradients: dict[int, Tensor] = {}
        self.handles: list[Callable[[], None]] = []

    @property
    def parameters_changed(self) -> bool:
        return self.versions.changed is not None

    def begin(self, v: Tensor) -> None:
        """Start the backward pass at the cotangent ``v`` of y: record the gradients of the parameters."""
        self.v, self.run = v.detach().clone(), backward_pass_id()
        for leaf in self.parameters:
            hook = leaf.register_hook(partial(self._record_gradient, id(leaf)))
            self.handles.append(hook.remove)

    def differentiated(self) -> list[TapedApplication]:
        """Return the applications that the cotangent went through, in this backward pass."""
        return [a for a in self.applications if a.u is not None and a.run == self.run]

    def free(self) -> None:
        """Release all tensors, though the tape and its hooks may live on."""
        for remove in self.handles:
            remove()
        for application in self.applications:
            application.clear()
        self.applications, self.parameters, self.handles = [], [], []
        self.gradients, self.versions = {}, LeafVersions(())
        self.y = self.v = self.y.new_empty(0)
        self.map, self.loss = _freed, None

    def _record_gradient(self, leaf: int, gradient: Tensor) -> None:
        if backward_pass_id() == self.run:  # and not a pass inside it
            self.gradients[leaf] = gradient


def _freed(x: Tensor) -> Tensor:
    raise RuntimeError("the training step is over")
