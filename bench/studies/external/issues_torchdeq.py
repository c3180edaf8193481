"""Known issues of torchdeq 0.1."""

from __future__ import annotations

import functools
import gc
import weakref

import torch
from torch import Tensor

from solvers.conformance import Contraction, CountedMap, start

from ...external.torchdeq import torchdeq_anderson, torchdeq_broyden, torchdeq_ift
from .known_issue import Measure, error_percent, known_issue, raised, second_derivative

ISSUES: list[Measure] = []
"""In the order of the table."""
torchdeq_issue = functools.partial(known_issue, ISSUES, "torchdeq")


@torchdeq_issue(
    "`get_deq(ift=True)`, 400 + 400, `b_tol` as it comes (1e-6, absolute); "
    "the mean-squared loss × 1e4, 1, 1e-2, 1e-4",
    "one error",
)
def absolute_tolerance() -> str:
    """``b_tol`` is a norm: a small gradient is below it before the first product."""
    solver = torchdeq_ift(400, 400, tol=0)
    return ", ".join(error_percent(solver, scale) for scale in (1e4, 1.0, 1e-2, 1e-4))


@torchdeq_issue(
    'Anderson backward (`b_solver="anderson"`, `lam` is 1e-4 and cannot be set), 100 + 50; loss × 1, 1e2, 1e4',
    "one error",
)
def torchdeq_absolute_regularisation() -> str:
    """``lam`` is added to squares of residuals, whatever their size."""
    solver = torchdeq_anderson(100, 50, tol=0, tol_backward=0, m=10, lam=1e-12)
    return ", ".join(error_percent(solver, scale) for scale in (1.0, 1e2, 1e4))


@torchdeq_issue("`get_deq(ift=False, hook_ift=True, grad=3)`", "3 VJPs")
def hook_overrules() -> str:
    """``hook_ift=True`` turns implicit differentiation on, whatever ``ift`` says."""
    from torchdeq import get_deq

    T = CountedMap(Contraction())
    solve = get_deq(ift=False, hook_ift=True, grad=3, f_max_iter=20, b_max_iter=20, b_tol=0.0)
    states, _ = solve(T, start(2, 6))
    states[-1].square().sum().backward()
    return f"{T.vjps} VJPs"


@torchdeq_issue("`get_deq(f_max_itr=3)`", "TypeError")
def misspelt() -> str:
    """Unknown keyword arguments are accepted and ignored."""
    from torchdeq import get_deq

    T = CountedMap(Contraction())
    with torch.no_grad():
        error = raised(lambda: get_deq(f_max_itr=3, f_tol=0.0)(T, start(2, 6)))
    return f"{error}, {T.applications} applications"


@torchdeq_issue(
    "`hook_ift=True`, solution dropped without `backward()`, no garbage collector", "0 saved tensors alive"
)
def kept_tape() -> str:
    """The hook closes a cycle trainer → hook → tape → trainer, so that a dropped solution is not freed."""
    packed: list[weakref.ref[_SavedTensor]] = []

    def pack(tensor: Tensor) -> _SavedTensor:
        saved = _SavedTensor(tensor.detach())
        packed.append(weakref.ref(saved))
        return saved

    gc.collect()
    gc.disable()
    try:
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved.tensor):
            solution = torchdeq_ift(10, 10, hook=True)(Contraction(), start(2, 6))
        del solution
        alive = sum(ref() is not None for ref in packed)
    finally:
        gc.enable()
        gc.collect()
    return f"{alive} of {len(packed)}"


@torchdeq_issue("`ift=True`: applications of T in `backward()`", "0")
def torchdeq_tapes_twice() -> str:
    """Without the hook, ``backward()`` tapes T again, one application further."""
    T = CountedMap(Contraction())
    solution = torchdeq_ift(10, 10, tol=0)(T, start(2, 6))
    before = T.applications
    solution.x.sum().backward()
    return f"{T.applications - before}"


@torchdeq_issue('`b_solver="simple_fixed_point_iter"`', "a gradient")
def simple_backward() -> str:
    """The simple solver passes ``tau`` to a function that does not take it."""
    from torchdeq import get_deq

    def attempt() -> None:
        solve = get_deq(ift=True, b_solver="simple_fixed_point_iter")
        states, _ = solve(Contraction(), start(2, 6))
        states[-1].sum().backward()

    return raised(attempt)


@torchdeq_issue("Broyden, `f_max_iter=10`: applications", "10")
def one_more() -> str:
    """Broyden applies T once before it starts to count."""
    T = CountedMap(Contraction())
    with torch.no_grad():
        torchdeq_broyden(10, 10, tol=0)(T, start(2, 6))
    return f"{T.applications}"


@torchdeq_issue(
    "x = (x + p²)/2 at p = 1.5, loss ½x²: second derivative by function, by hook", "13.5, or an error"
)
def torchdeq_second_derivative() -> str:
    """The equilibrium of x = (x + p²)/2 is p², so ½x² has the second derivative 6p²."""
    answers = []
    for hook in (False, True):
        p = torch.tensor([[1.5]], dtype=torch.float64, requires_grad=True)
        solution = torchdeq_ift(100, 100, hook=hook, tol=0, tol_backward=0)(
            lambda x, p=p: 0.5 * (x + p.square()), torch.zeros(1, 1, dtype=torch.float64)
        )
        answers.append(second_derivative(solution.x, p))
    return "; ".join(answers)


class _SavedTensor:
    """A saved tensor that a weak reference can point to."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
