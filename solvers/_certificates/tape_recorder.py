"""Record the applications on a tape and the cotangents of its backward pass, from which a certificate is computed."""

# pyright: reportUnknownMemberType=false
from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .._core.maps import Map
from .._core.tape import LeafVersions, backward_pass_id, tape_ends
from .rounding import Rounding

_NUMBERS = itertools.count()


@dataclass(slots=True)
class TapedApplication:
    """One application ``y = T(x)`` on a tape, with the cotangents of the last backward pass through it.

    All tensors are copies, so that memory that is reused cannot change them.

    Attributes:
        x, y: the point and the value, without a tape.
        u: the cotangent that reached y; ``None`` before a backward pass.
        a: ``J(x)ᵀu``, the cotangent passed on to x; ``None`` if the pass computed none, as with
            ``torch.autograd.grad`` and ``backward(inputs=…)`` for other inputs.
        run: number of that backward pass; −1 before the first.
        order: number of u among all cotangents that were recorded; −1 if not counted.
        map: T; ``None`` if unknown.
        leaves: leaves of the tape of this application, without x; ``None`` if unknown.
        versions: versions of the leaves at the application; ``None`` if unknown.
        rounding: estimated rounding of the application and of its products; ``None`` if not estimated.
    """

    x: Tensor
    y: Tensor
    u: Tensor | None = None
    a: Tensor | None = None
    run: int = -1
    order: int = -1
    map: Map | None = None
    leaves: tuple[Tensor, ...] | None = None
    versions: LeafVersions | None = None
    rounding: Rounding | None = None

    @property
    def parameters_changed(self) -> bool:
        """Whether a leaf was changed in place since the application."""
        return self.versions is not None and self.versions.changed is not None

    def clear(self) -> None:
        """Release all tensors; hooks that refer to this may live on."""
        self.x = self.y = self.x.new_empty(0)
        self.u = self.a = self.map = self.leaves = self.versions = None


def last_backward_pass(taped: Sequence[TapedApplication]) -> list[TapedApplication]:
    """Return the applications that the last backward pass went through.

    That excludes applications taped for products alone, and those repeated within the backward pass.
    """
    reached = [application for application in taped if application.u is not None]
    if not reached:
        return []
    latest = max(reached, key=lambda application: (application.order, application.run)).run
    return [application for application in reached if application.run == latest]


@dataclass(slots=True)
class TapeRecorder:
    """``T``, recording its applications on a tape; without a tape it is ``T`` alone.

    Any algorithm can use it in place of ``T``: whatever it does between applications, backpropagation returns
    ``Σ B(x_k)ᵀu_k`` over the recorded ones (plus ``∂ℓ/∂θ``). Products of an adjoint solve pass through them too; the
    last cotangent is kept, which is the one that reaches the parameters. A second backward pass replaces the first.

    Cost: four tensors of the size of x per application.

    Attributes:
        T: the map.
        taped: the applications on the tape, in order.
    """

    T: Map
    taped: list[TapedApplication] = field(default_factory=list[TapedApplication])

    def __call__(self, x: Tensor) -> Tensor:
        """``T(x)``."""
        if not torch.is_grad_enabled():
            return self.T(x)
        # Differentiate an alias of x: cotangents that reach x on other paths are no part of J(x)ᵀu.
        start = x.view_as(x) if x.requires_grad else x.detach().requires_grad_()
        y = self.T(start)
        if not y.requires_grad:
            return y
        leaves = tape_ends(y, start=start).leaves
        application = TapedApplication(
            start.detach().clone(),
            y.detach().clone(),
            map=self.T,
            leaves=leaves,
            versions=LeafVersions(leaves),
        )
        self.taped.append(application)
        value = y.view_as(y)

        def record_u(u: Tensor) -> None:
            # Each product of an adjoint solve is a pass of its own; the last pass is that of the gradient. Reset a,
            # which an earlier pass may have set.
            application.u, application.a = u.detach().clone(), None
            application.run, application.order = backward_pass_id(), next(_NUMBERS)

        def record_a(a: Tensor) -> None:
            if application.run == backward_pass_id():
                application.a = a.detach().clone()

        start.register_hook(record_a)
        value.register_hook(record_u)
        return value
