"""Traps of torchdeq 0.1."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import torch
from torch import Tensor

from solvers.conformance import Contraction, CountedMap, start

from ...external.torchdeq import torchdeq_anderson, torchdeq_broyden, torchdeq_ift
from .known_issue import KnownIssue, exact, gradient, issue_percent, off, raised, second_derivative

NAME = "torchdeq"


def absolute_tolerance() -> KnownIssue:
    """``b_tol`` is a norm: a small gradient is below it before the first product."""
    peer = torchdeq_ift(400, 400, tol=0)
    errors = [issue_percent(off(gradient(peer, scale), exact())) for scale in (1e4, 1.0, 1e-2, 1e-4)]
    return KnownIssue(
        NAME,
        "`get_deq(ift=True)`, 400 + 400, `b_tol` as it comes (1e-6, absolute); "
        "the mean-squared loss × 1e4, 1, 1e-2, 1e-4",
        "one error",
        ", ".join(errors),
    )


def torchdeq_absolute_regularisation() -> KnownIssue:
    """``lam`` is added to squares of residuals, whatever their size."""
    peer = torchdeq_anderson(100, 50, tol=0, tol_backward=0, m=10, lam=1e-12)
    errors = [issue_percent(off(gradient(peer, scale), exact())) for scale in (1.0, 1e2, 1e4)]
    return KnownIssue(
        NAME,
        'Anderson backward (`b_solver="anderson"`, `lam` is 1e-4 and cannot be set), 100 + 50; loss × 1, 1e2, 1e4',
        "one error",
        ", ".join(errors),
    )


def hook_overrules() -> KnownIssue:
    """``hook_ift=True`` turns implicit differentiation on, whatever ``ift`` says."""
    from torchdeq import get_deq

    T = CountedMap(Contraction())
    solve = get_deq(ift=False, hook_ift=True, grad=3, f_max_iter=20, b_max_iter=20, b_tol=0.0)
    found, _ = solve(T, start(2, 6))
    found[-1].square().sum().backward()
    return KnownIssue(NAME, "`get_deq(ift=False, hook_ift=True, grad=3)`", "3 VJPs", f"{T.vjps} VJPs")


def misspelt() -> KnownIssue:
    """Unknown keyword arguments are taken and never looked at."""
    from torchdeq import get_deq

    T = CountedMap(Contraction())
    with torch.no_grad():
        found = raised(lambda: get_deq(f_max_itr=3, f_tol=0.0)(T, start(2, 6)))
    return KnownIssue(
        NAME,
        "`get_deq(f_max_itr=3)`",
        "TypeError",
        f"{found}, {T.applications} applications",
    )


def kept_tape() -> KnownIssue:
    """With the hook, trainer → hook → tape → trainer: a solution that is dropped is not freed."""
    alive: list[weakref.ref[_SavedCount]] = []

    def pack(tensor: Tensor) -> _SavedCount:
        saved = _SavedCount(tensor.detach())
        alive.append(weakref.ref(saved))
        return saved

    gc.collect()
    gc.disable()
    try:
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved.tensor):
            solution = torchdeq_ift(10, 10, hook=True)(Contraction(), start(2, 6))
        del solution
        left = sum(ref() is not None for ref in alive)
    finally:
        gc.enable()
        gc.collect()
    return KnownIssue(
        NAME,
        "`hook_ift=True`, solution dropped without `backward()`, no garbage collector",
        "0 saved tensors alive",
        f"{left} of {len(alive)}",
    )


def torchdeq_tapes_twice() -> KnownIssue:
    """Without the hook, T is taped again in ``backward()``, at a point one application further."""
    T = CountedMap(Contraction())
    solution = torchdeq_ift(10, 10, tol=0)(T, start(2, 6))
    before = T.applications
    solution.x.sum().backward()
    return KnownIssue(
        NAME,
        "`ift=True`: applications of T in `backward()`",
        "0",
        f"{T.applications - before}",
    )


def simple_backward() -> KnownIssue:
    """Its simple solver passes ``tau`` to a function that takes none."""
    from torchdeq import get_deq

    def attempt() -> None:
        solve = get_deq(ift=True, b_solver="simple_fixed_point_iter")
        found, _ = solve(Contraction(), start(2, 6))
        found[-1].sum().backward()

    return KnownIssue(NAME, '`b_solver="simple_fixed_point_iter"`', "a gradient", raised(attempt))


def one_more() -> KnownIssue:
    """Broyden applies T once before it begins to count."""
    T = CountedMap(Contraction())
    with torch.no_grad():
        torchdeq_broyden(10, 10, tol=0)(T, start(2, 6))
    return KnownIssue(NAME, "Broyden, `f_max_iter=10`: applications", "10", f"{T.applications}")


def torchdeq_second_derivative() -> KnownIssue:
    """The equilibrium of x = (x + p²)/2 is p², so ½x² has the second derivative 6p²."""
    answers = []
    for hook in (False, True):
        p = torch.tensor([[1.5]], dtype=torch.float64, requires_grad=True)
        solution = torchdeq_ift(100, 100, hook=hook, tol=0, tol_backward=0)(
            lambda x, p=p: 0.5 * (x + p.square()), torch.zeros(1, 1, dtype=torch.float64)
        )
        answers.append(_answer(lambda x=solution.x, p=p: second_derivative(x, p)))
    return KnownIssue(
        NAME,
        "x = (x + p²)/2 at p = 1.5, loss ½x²: second derivative by function, by hook",
        "13.5, or an error",
        "; ".join(answers),
    )


def _answer(attempt: Callable[[], Tensor | None]) -> str:
    try:
        found = attempt()
    except RuntimeError as error:
        return f"RuntimeError: {' '.join(str(error).split())[:50]}"
    return "no tape" if found is None else f"{float(found.sum()):.4g}"


class _SavedCount:
    """A saved tensor that can be watched."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


TRAPS: tuple[Callable[[], KnownIssue], ...] = (
    absolute_tolerance,
    torchdeq_absolute_regularisation,
    hook_overrules,
    misspelt,
    kept_tape,
    torchdeq_tapes_twice,
    simple_backward,
    one_more,
    torchdeq_second_derivative,
)
