"""torchdeq's ``get_deq``: implicit gradients by hook or by function, phantom gradients, and its three solvers."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from solvers import Loss, Map

from ..operators import Operator, Prior
from .base import CallCounter, ExternalSolution, installed, real, shortest_call, switch, whole

Method: TypeAlias = Literal["fixed_point_iter", "anderson", "broyden"]
"""torchdeq's own names of its solvers."""


@dataclass(frozen=True, slots=True)
class Solve:
    """One of torchdeq's solvers with its settings; those of another solver are ignored by the library.

    Attributes:
        method: which one.
        max_iter: iterations at most, each an application; Broyden makes one more, to begin.
        tol: it stops where the residual of every sample is below it.
        relative: whether that residual is relative; otherwise it is the norm itself.
        m, lam, tau: Anderson's history, its (absolute) regularisation, and damping.
        memory: Broyden's updates at most; 0 for as many as iterations.
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
        """Its name in torchdeq, which lets settings through to a backward solver in no other way."""
        from torchdeq.solver import get_solver, register_solver

        given: dict[str, object] = {}
        if self.method == "anderson" and (self.m, self.lam, self.tau) != (6, 1e-4, 1.0):
            given = {"m": self.m, "lam": self.lam, "tau": self.tau}
        if self.method == "broyden" and self.memory:
            given = {"LBFGS_thres": self.memory}
        if not given:
            return self.method
        name = f"{self.method} {given}"
        register_solver(name, functools.partial(get_solver(self.method), **given))
        return name


@dataclass(frozen=True, slots=True)
class TorchDEQ:
    """``get_deq(...)(T, x0)`` on any map, as it stands in torchdeq 0.1; made anew for every call, in 0.1 ms.

    Under ``no_grad`` it is the library's evaluation mode: the forward solver alone.

    Attributes:
        forward: how the equilibrium is found.
        backward: how the adjoint equation is solved; ``None`` for phantom gradients.
        hook: implicit differentiation by a hook; otherwise by a function, which tapes T again in ``backward()``.
        steps, damping: of phantom gradients.
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
            how = f"phantom gradient(grad={self.steps}, tau={self.damping:g})"
        else:
            how = f"implicit by {'hook' if self.hook else 'function'}: {self.backward}"
        return f"{installed('torchdeq')}: {self.forward} × {how}"

    @staticmethod
    def admits(operator: Operator | Prior) -> bool:
        """Any operator whose iterations share their parameters."""
        return operator.layers == 0

    def __call__(self, T: Map, x0: Tensor, loss: Loss | None = None, /) -> ExternalSolution:
        """Solve ``x = T(x)`` from ``x0``.

        Raises:
            UserError: torchdeq is not installed.
        """
        installed("torchdeq")
        from torchdeq import get_deq

        implicit = self.backward is not None
        back = self.backward or self.forward
        solve = get_deq(
            ift=implicit and not self.hook,
            hook_ift=implicit and self.hook,
            grad=self.steps,
            tau=self.damping,
            f_solver=self.forward.register(),
            b_solver=back.register(),
            f_max_iter=self.forward.max_iter,
            b_max_iter=back.max_iter,
            f_tol=self.forward.tol,
            b_tol=back.tol,
            f_stop_mode="rel" if self.forward.relative else "abs",
            b_stop_mode="rel" if back.relative else "abs",
        )
        solve.train(torch.is_grad_enabled())
        tally = CallCounter(1 if implicit else self.steps)
        # torchdeq takes the entries of a vector for a batch of numbers.
        single = x0.ndim < 2

        def counted(z: Tensor) -> Tensor:
            return tally.seen(T(z[0])[None] if single else T(z))

        found, _ = solve(counted, x0.detach()[None] if single else x0.detach())
        return tally.solution(found[-1][0] if single else found[-1])


def torchdeq_ift(
    forward: int = 40,
    backward: int = 40,
    hook: bool = False,
    tol: float = 1e-3,
    tol_backward: float = 1e-6,
    relative: bool = False,
) -> TorchDEQ:
    """Implicit gradient, plain iterations both ways.

    Args:
        forward, backward: applications, and vector-Jacobian products, at most.
        hook: implicit gradient by a hook; otherwise by a function.
        tol, tol_backward: where the two stop.
        relative: whether these tolerances are relative; the library's default is absolute.

    Raises:
        UserError: torchdeq is not installed, or a value is out of range.
    """
    label = shortest_call(torchdeq_ift, 2, locals())
    there = _solve("fixed_point_iter", forward, tol, relative)
    return _implicit(label, there, _solve("fixed_point_iter", backward, tol_backward, relative), hook)


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
    """Implicit gradient, Anderson acceleration both ways. As ``torchdeq_ift``, and:

    Args:
        forward, backward, hook, tol, tol_backward, relative: see there.
        m: iterates that are mixed.
        lam, lam_backward: the regularisation each way, absolute; the library has one default and no argument for
            the second, which is handed in by registering a solver.
        tau: damping.

    Raises:
        UserError: torchdeq is not installed, or a value is out of range.
    """
    label = shortest_call(torchdeq_anderson, 2, locals())
    m, tau = whole("m", m, 2), real("tau", tau)
    there = replace(_solve("anderson", forward, tol, relative), m=m, tau=tau, lam=real("lam", lam))
    back = _solve("anderson", backward, tol_backward, relative)
    return _implicit(label, there, replace(back, m=m, tau=tau, lam=real("lam_backward", lam_backward)), hook)


def torchdeq_broyden(
    forward: int = 40,
    backward: int = 40,
    hook: bool = False,
    tol: float = 1e-3,
    tol_backward: float = 1e-6,
    relative: bool = False,
    memory: int = 0,
) -> TorchDEQ:
    """Implicit gradient, Broyden's method both ways. As ``torchdeq_ift``, and:

    Args:
        forward, backward, hook, tol, tol_backward, relative: see there; Broyden makes one application more than asked.
        memory: updates that are kept; 0 for all of them.

    Raises:
        UserError: torchdeq is not installed, or a value is out of range.
    """
    label = shortest_call(torchdeq_broyden, 2, locals())
    memory = whole("memory", memory, 0)
    there = replace(_solve("broyden", forward, tol, relative), memory=memory)
    back = replace(_solve("broyden", backward, tol_backward, relative), memory=memory)
    return _implicit(label, there, back, hook)


def torchdeq_phantom(
    forward: int = 40, steps: int = 1, damping: float = 1.0, tol: float = 1e-3, relative: bool = False
) -> TorchDEQ:
    """Phantom gradient: backpropagation through ``steps`` damped applications after plain iterations.

    Args:
        forward: applications at most.
        steps: applications on the tape; the library's default of 1 is Jacobian-free backpropagation.
        damping: τ of ``x ← τT(x) + (1 − τ)x`` on the tape.
        tol: where the forward iteration stops.
        relative: whether ``tol`` is relative.

    Raises:
        UserError: torchdeq is not installed, or a value is out of range.
    """
    installed("torchdeq")
    label = shortest_call(torchdeq_phantom, 2, locals())
    solve = _solve("fixed_point_iter", forward, tol, relative)
    return TorchDEQ(label, solve, None, steps=whole("steps", steps), damping=real("damping", damping))


def _solve(method: Method, max_iter: int, tol: float, relative: bool) -> Solve:
    return Solve(
        method, whole("the number of iterations", max_iter), real("tol", tol), switch("relative", relative)
    )


def _implicit(label: str, forward: Solve, backward: Solve, hook: bool) -> TorchDEQ:
    installed("torchdeq")
    return TorchDEQ(label, forward, backward, switch("hook", hook))
