"""The checks: each raises ``AssertionError`` with a sentence if it fails."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
from __future__ import annotations

import copy
import gc
import math
import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager

import torch
from torch import Tensor

from .._core.solver import Solver
from ._maps import (
    Complex,
    Contraction,
    CountedMap,
    RealPairs,
    SampleBySample,
    SoftThreshold,
    demand,
    demand_close,
    dense_oracle,
    gradient_of,
    quadratic,
    start,
)


def keeps_shape_and_dtype(solver: Solver) -> None:
    """The value has the shape, dtype and device of the start, which is not changed."""
    for dtype in (torch.float32, torch.float64):
        for shape in ((6,), (2, 6), (2, 1, 3, 6)):
            x0 = start(*shape, dtype=dtype)
            before = x0.clone()
            x = solver(Contraction(dtype=dtype), x0).x
            kind = (x.shape, x.dtype, x.device)
            demand(kind == (x0.shape, x0.dtype, x0.device), f"{shape}, {dtype} became {kind}")
            demand(torch.equal(x0, before), "the start was changed")


def reaches_every_parameter(solver: Solver) -> None:
    """Every parameter of T gets a finite, nonzero gradient."""
    T = Contraction()
    gradient_of(solver, T, start(2, 6))
    for name, p in T.named_parameters():
        if p.grad is None:
            raise AssertionError(f"no gradient reaches {name}")
        demand(bool(p.grad.isfinite().all()), f"{name}: {p.grad}")
        demand(bool(p.grad.abs().max() > 0), f"the gradient in {name} is zero")


def agrees_with_closed_form(solver: Solver) -> None:
    """Every estimator is exact if T is constant in x: here the derivative of soft thresholding."""
    T = SoftThreshold()
    gradient, _ = gradient_of(solver, T, torch.zeros_like(T.y), lambda x: x.sum())
    demand_close(gradient, T.derivative(), 1e-14, "off the closed form by {:.1e}")


def agrees_with_oracle(solver: Solver, tolerance: float = 1e-9) -> None:
    """The estimate equals the dense float64 implicit gradient."""
    T = Contraction()
    exact = dense_oracle(T, start(2, 6))
    gradient, _ = gradient_of(solver, T, start(2, 6))
    demand_close(gradient, exact, tolerance, f"off the oracle by {{:.1e}}, more than {tolerance:.0e}")


def counts_truly(solver: Solver) -> None:
    """The solution reports the applications and vector-Jacobian products that T observes."""
    counted = CountedMap(Contraction())
    solution = solver(counted, start(2, 6))
    quadratic(solution.x).backward()
    reported, made = solution.applications, counted.applications
    demand(reported == made, f"{reported} applications reported, {made} made")
    demand(solution.vjps == counted.vjps, f"{solution.vjps} VJPs reported, {counted.vjps} made")


def scales_with_the_loss(solver: Solver) -> None:
    """Scaling the loss by c scales the estimate by c: to the bit for powers of two, else to rounding."""
    T = Contraction()
    plain, _ = gradient_of(solver, T, start(2, 6))
    for c, tolerance in ((2.0**-20, 0.0), (2.0**20, 0.0), (1e-4, 1e-11), (1e5, 1e-11)):
        scaled, _ = gradient_of(solver, T, start(2, 6), lambda x, c=c: c * quadratic(x))
        demand_close(scaled, c * plain, tolerance, f"the loss times {c:g}: the estimate is off by {{:.1e}}")


def treats_samples_alone(solver: Solver) -> None:
    """The gradient of a batch is the sum of its samples' gradients, however small and slow each of them is."""
    T, x0 = Contraction(), start(3, 6)
    target = x0.flip(0)
    together, _ = gradient_of(solver, T, x0, lambda x: (x - target).square().sum())
    alone = [
        gradient_of(solver, T, x0[i : i + 1], lambda x, i=i: (x - target[i]).square().sum())[0]
        for i in range(3)
    ]
    demand_close(together, torch.stack(alone).sum(0), 1e-9, "the batch differs from its samples by {:.1e}")
    batch = SampleBySample(0, 1, 2)
    rows = gradient_of(solver, batch, torch.zeros_like(batch.theta), batch.loss)[0].view(3, -1)
    for i, row in enumerate(rows):
        one = SampleBySample(i)
        exact, _ = gradient_of(solver, one, torch.zeros_like(one.theta), one.loss)
        text = f"a sample of size {float(one.size):.0e} differs by {{:.1e}} beside larger and faster ones: "
        demand_close(row, exact, 1e-9, text + "it is stopped when they are done")


def takes_complex_states(solver: Solver) -> None:
    """A complex state is a pair of real ones: value and gradient are those of the map of the pairs."""
    T, z0 = Complex(), torch.complex(start(2, 6), start(2, 6).flip(1))
    target, x0 = z0.flip(0), torch.view_as_real(z0).clone()
    gradient, solution = gradient_of(solver, T, z0, lambda z: (z - target).abs().square().sum())
    exact, real = gradient_of(
        solver, RealPairs(T), x0, lambda x: (x - torch.view_as_real(target)).square().sum()
    )
    x, text = torch.view_as_real(solution.x.detach()), "differs from that of its real parts by {:.1e}"
    demand_close(x, real.x.detach(), 1e-9, f"the complex value {text}")
    demand_close(gradient, exact, 1e-9, f"the gradient at a complex state {text}")


def shows_nan(solver: Solver) -> None:
    """If a sample is nan, its gradient is nan; those of the others are right, nan, or reported as not converged."""
    T, right = SampleBySample(0, 1, 2), SampleBySample(0, 1, 2)
    with torch.no_grad():
        T.theta[1] = math.nan
    x0 = torch.zeros_like(T.theta)
    gradient, solution = gradient_of(solver, T, x0, T.loss)
    rows = gradient.view(3, -1)
    exact = gradient_of(solver, right, x0, right.loss)[0].view(3, -1)
    demand(not rows[1].isfinite().any(), f"T is nan in a sample, whose gradient is {rows[1].tolist()}")
    tolerance = 1e-9 if solution.converged else 0.5
    for i in (0, 2):
        if not rows[i].isnan().any():
            text = "T is nan in a sample, and the gradient of another one is off by {:.1e}"
            demand_close(rows[i], exact[i], tolerance, text)


def takes_an_empty_batch(solver: Solver) -> None:
    """A batch without samples has an empty value, and a gradient of 0."""
    T = Contraction()
    try:
        gradient, solution = gradient_of(solver, T, start(0, 6))
    except (RuntimeError, IndexError, ValueError, ZeroDivisionError) as error:
        raise AssertionError(f"an empty batch is refused: {error}") from error
    demand(solution.x.shape == (0, 6), f"an empty batch became {tuple(solution.x.shape)}")
    demand(bool((gradient == 0).all()), "an empty batch has a gradient")


def repeats_itself(solver: Solver) -> None:
    """A second call gives the same bits, and a call after an optimiser step uses the new parameters."""
    untouched = copy.deepcopy(solver)
    T = Contraction()
    first, _ = gradient_of(solver, T, start(2, 6))
    second, _ = gradient_of(solver, T, start(2, 6))
    demand(torch.equal(first, second), "two calls on the same problem differ")
    with torch.no_grad():
        for p in T.parameters():
            p.mul_(0.9)
    fresh = Contraction()
    fresh.load_state_dict(T.state_dict())
    moved, _ = gradient_of(solver, T, start(2, 6))
    expected, _ = gradient_of(untouched, fresh, start(2, 6))
    demand(torch.equal(moved, expected), "something of the old parameters is still in use after a step")


def leaves_no_tape(solver: Solver) -> None:
    """No tensor saved by autograd outlives ``backward()``, or a dropped solution, even without garbage collection."""
    with _collector_off():
        for backward in (True, False):
            saved_tensors: list[weakref.ref[_SavedTensor]] = []

            def pack(tensor: Tensor, refs: list[weakref.ref[_SavedTensor]] = saved_tensors) -> _SavedTensor:
                # Detached, because an operation that saves its own output would otherwise be a reference cycle.
                saved = _SavedTensor(tensor.detach())
                refs.append(weakref.ref(saved))
                return saved

            T = Contraction()
            with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved.tensor):
                solution = solver(T, start(2, 6))
                loss = quadratic(solution.x)
            demand(saved_tensors, "nothing was recorded")
            if backward:
                loss.backward()  # the solution itself stays, as a training loop might keep it
            else:
                del solution, loss
            left = sum(ref() is not None for ref in saved_tensors)
            when = "after backward()" if backward else "though backward() never ran"
            demand(left == 0, f"{left} saved tensors are alive {when}")


def leaks_nothing(solver: Solver) -> None:
    """Grad mode, default dtype, thread count and random state are unchanged; ``no_grad`` is respected."""

    def state() -> tuple[object, ...]:
        modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_default_dtype()
        return *modes, torch.get_num_threads(), bytes(torch.get_rng_state().numpy())

    T = Contraction()
    before = state()
    _, solution = gradient_of(solver, T, start(2, 6))
    demand(state() == before, "the solver changed a global setting")
    with torch.no_grad():
        plain = solver(T, start(2, 6))
        demand(not torch.is_grad_enabled(), "the solver turned gradients on")
    demand(not plain.x.requires_grad, "a tape was made under no_grad")
    demand(torch.equal(plain.x, solution.x.detach()), "the value differs under no_grad")


class _SavedTensor:
    """A saved tensor that a weak reference can follow: autograd wraps plain tensors anew."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


@contextmanager
def _collector_off() -> Generator[None]:
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


CHECKS: tuple[Callable[[Solver], None], ...] = (
    keeps_shape_and_dtype,
    reaches_every_parameter,
    agrees_with_closed_form,
    agrees_with_oracle,
    counts_truly,
    scales_with_the_loss,
    treats_samples_alone,
    takes_complex_states,
    shows_nan,
    takes_an_empty_batch,
    repeats_itself,
    leaves_no_tape,
    leaks_nothing,
)
