"""torchdeq's ``get_deq``: implicit gradients by hook or by function, and phantom gradients, with its three solvers.

The calls raise ``UserError`` if torchdeq is not installed, or if a value is out of range.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from solvers import Loss, Map

from ..operators import Operator, Prior, Splitting, forward_backward
from ..utils.arguments import real, switch, whole
from .base import CallCounter, ExternalSolution, installed, shortest_call

Method: TypeAlias = Literal["fixed_point_iter", "anderson", "broyden"]
"""Names of solvers in torchdeq."""


@dataclass(frozen=True, slots=True)
class Solve:
    """A solver of torchdeq with its settings; the library ignores settings of other solvers.

    Attributes:
        max_iter: largest number of iterations; each is one application, and Broyden makes one more at the start.
        tol, relative: tolerance on the residual of every sample, relative or absolute.
        m, lam, tau: Anderson's history, absolute regularisation, and damping.
        memory: largest number of Broyden's updates; 0 for as many as iterations.
    """

    method: Method
    max_iter: int
    tol: float
    relative: bool
    m: int = 6
    lam: float = 1e-4
    tau: float = 1.0
    memory: int = 0

    def __str__(self) -> str:
        mode = "rel" if self.relative else "abs"
        words = [f"{self.max_iter}", f"tol={self.tol:g}", f"stop_mode={mode}"]
        if self.method == "anderson":
            words += [f"m={self.m}", f"lam={self.lam:g}", f"tau={self.tau:g}"]
        if self.method == "broyden":
            words += [f"LBFGS_thres={self.memory or None}"]
        return f"{self.method}({', '.join(words)})"

    def register(self) -> str:
        """Register the settings under a name and return it: ``get_deq`` takes no others for a backward solver."""
        from torchdeq.solver import get_solver, register_solver

        settings: dict[str, object] = {}
        if self.method == "anderson" and (self.m, self.lam, self.tau) != (6, 1e-4, 1.0):
            settings = {"m": self.m, "lam": self.lam, "tau": self.tau}
        if self.method == "broyden" and self.memory:
            settings = {"LBFGS_thres": self.memory}
        if not settings:
            return self.method
        name = f"{self.method} {settings}"
        register_solver(name, functools.partial(get_solver(self.method), **settings))
        return name


@dataclass(frozen=True, slots=True)
class TorchDEQ:
    """``get_deq(...)(T, x0)`` of torchdeq 0.1 on any map, built for each call in 0.1 ms.

    Under ``no_grad`` it runs the library's evaluation mode: the forward solver alone.

    Attributes:
        forward, backward: solvers of the equilibrium and the adjoint equation; ``None`` for phantom gradients.
        hook: implicit differentiation by a hook; otherwise by a function, which tapes T again in ``backward()``.
        steps, damping: settings of phantom gradients.
    """

    label: str = field(compare=False)
    forward: Solve
    backward: Solve | None
    hook: bool = False
    steps: int = 1
    damping: float = 1.0

    @property
    def composition(self) -> str:
        """torchdeq with its version, and every setting."""
        if self.backward is None:
            gradient = f"phantom gradient(grad={self.steps}, tau={self.damping:g})"
        else:
            gradient = f"implicit by {'hook' if self.hook else 'function'}: {self.backward}"
        return f"{installed('torchdeq')}: {self.forward} × {gradient}"

    @staticmethod
    def admits(
        operator: Operator | Prior,
        splitting: Splitting = forward_backward(),  # noqa: B008 (frozen)
    ) -> bool:
        """Whether all iterations of the operator share their parameters."""
        return operator.layers == 0

    def __call__(self, T: Map, x0: Tensor, loss: Loss | None = None, /) -> ExternalSolution:
        """Solve ``x = T(x)`` from ``x0``. Raises ``UserError`` if torchdeq is not installed."""
        installed("torchdeq")
        from torchdeq import get_deq

        implicit = self.backward is not None
        backward = self.backward or self.forward
        solve = get_deq(
            ift=implicit and not self.hook,
            hook_ift=implicit and self.hook,
            grad=self.steps,
            tau=self.damping,
            f_solver=self.forward.register(),
            b_solver=backward.register(),
            f_max_iter=self.forward.max_iter,
            b_max_iter=backward.max_iter,
            f_tol=self.forward.tol,
            b_tol=backward.tol,
            f_stop_mode="rel" if self.forward.relative else "abs",
            b_stop_mode="rel" if backward.relative else "abs",
        )
        solve.train(torch.is_grad_enabled())
        counter = CallCounter(1 if implicit else self.steps)
        # torchdeq would take a vector for a batch of numbers.
        single = x0.ndim < 2

        def counted(z: Tensor) -> Tensor:
            return counter.count(T(z[0])[None] if single else T(z))

        iterates, _ = solve(counted, x0.detach()[None] if single else x0.detach())
        return counter.solution(iterates[-1][0] if single else iterates[-1])


def torchdeq_ift(
    forward: int = 40,
    backward: int = 40,
    hook: bool = False,
    tol: float = 1e-3,
    tol_backward: float = 1e-6,
    relative: bool = False,
) -> TorchDEQ:
    """Implicit gradient with plain forward and adjoint iterations.

    Args:
        forward, backward: largest numbers of applications and of vector–Jacobian products.
        hook: implicit gradient by a hook; otherwise by a function.
        tol, tol_backward, relative: tolerances of the two iterations, absolute by default.
    """
    return _implicit(torchdeq_ift, locals(), "fixed_point_iter", {}, {})


def torchdeq_anderson(
    forward: int = 40,
    backward: int = 40,
    hook: bool = False,
    tol: float = 1e-3,
    tol_backward: float = 1e-6,
    relative: bool = False,
    m: int = 6,
    lam: float = 1e-4,
    tau: float = 1.0,
    lam_backward: float = 1e-4,
) -> TorchDEQ:
    """Implicit gradient with Anderson acceleration of both iterations.

    Args:
        forward, backward, hook, tol, tol_backward, relative: as for ``torchdeq_ift``.
        m: number of mixed iterates.
        lam, lam_backward: absolute regularisation of the forward and the adjoint iteration; ``get_deq`` takes one only.
        tau: damping.
    """
    arguments, mixing = locals(), {"m": whole("m", m, 2), "tau": real("tau", tau)}
    settings = mixing | {"lam": real("lam", lam)}
    adjoint = mixing | {"lam": real("lam_backward", lam_backward)}
    return _implicit(torchdeq_anderson, arguments, "anderson", settings, adjoint)


def torchdeq_broyden(
    forward: int = 40,
    backward: int = 40,
    hook: bool = False,
    tol: float = 1e-3,
    tol_backward: float = 1e-6,
    relative: bool = False,
    memory: int = 0,
) -> TorchDEQ:
    """Implicit gradient with Broyden's method for both equations.

    Args:
        forward, backward, hook, tol, tol_backward, relative: as for ``torchdeq_ift``, with one more application.
        memory: number of stored updates; 0 for all.
    """
    arguments, settings = locals(), {"memory": whole("memory", memory, 0)}
    return _implicit(torchdeq_broyden, arguments, "broyden", settings, settings)


def torchdeq_phantom(
    forward: int = 40, steps: int = 1, damping: float = 1.0, tol: float = 1e-3, relative: bool = False
) -> TorchDEQ:
    """Phantom gradient: backpropagation through ``steps`` damped applications after plain iterations.

    Args:
        forward, tol, relative: largest number of plain iterations, and their tolerance.
        steps: taped applications; the library's default of 1 is Jacobian-free backpropagation.
        damping: τ of the taped ``x ← τT(x) + (1 − τ)x``.
    """
    installed("torchdeq")
    label = shortest_call(torchdeq_phantom, 2, locals())
    solve = _solve("fixed_point_iter", forward, tol, relative)
    return TorchDEQ(label, solve, None, steps=whole("steps", steps), damping=real("damping", damping))


def _solve(method: Method, max_iter: int, tol: float, relative: bool, **settings: Any) -> Solve:
    max_iter = whole("the number of iterations", max_iter)
    return Solve(method, max_iter, real("tol", tol), switch("relative", relative), **settings)


def _implicit(
    make: Callable[..., TorchDEQ],
    arguments: dict[str, Any],
    method: Method,
    settings: dict[str, Any],
    adjoint_settings: dict[str, Any],
) -> TorchDEQ:
    """The solver that ``make(**arguments)`` stands for."""
    installed("torchdeq")
    forward, backward, hook, tol, tol_backward, relative = list(arguments.values())[:6]
    return TorchDEQ(
        shortest_call(make, 2, arguments),
        _solve(method, forward, tol, relative, **settings),
        _solve(method, backward, tol_backward, relative, **adjoint_settings),
        switch("hook", hook),
    )
