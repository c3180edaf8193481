"""What every solver must keep: the checks that the roster passes, to be run on a solver of your own.

``for check in CHECKS: check(my_solver)`` raises ``AssertionError`` with a sentence where one fails. An
estimator that is biased by design fails ``agrees_with_oracle`` and no other.
"""

# torch.linalg and Tensor.backward carry no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import copy
import gc
import math
import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from ._core import Map, Solution, Solver

Loss = Callable[[Tensor], Tensor]


class Contraction(nn.Module):
    """``x -> s·tanh(Wx + Vθ + c)``, non-symmetric and contractive (``L = ‖W‖₂·s = 0.63``), three parameters."""

    W: Tensor
    V: Tensor

    def __init__(self, n: int = 6, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(20250616)
        W = torch.randn(n, n, generator=rng, dtype=torch.float64)
        self.register_buffer("W", (0.7 * W / torch.linalg.matrix_norm(W, 2)).to(dtype))
        self.register_buffer("V", torch.randn(n, 3, generator=rng, dtype=torch.float64).to(dtype))
        self.theta = nn.Parameter(torch.randn(3, generator=rng, dtype=torch.float64).to(dtype))
        self.c = nn.Parameter(torch.randn(n, generator=rng, dtype=torch.float64).to(dtype))
        self.s = nn.Parameter(torch.tensor(0.9, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        """One application; the last dimension of ``x`` has n entries."""
        flat = x.reshape(-1, self.W.shape[0])
        return (self.s * torch.tanh(flat @ self.W.T + self.V @ self.theta + self.c)).view_as(x)


class SoftThreshold(nn.Module):
    """``x -> soft(x − (x − y), e^w)``: forward–backward with A = I and τ = 1, constant in x."""

    y: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("y", torch.tensor([[1.5, -0.8, 0.2, -2.0]], dtype=torch.float64))
        self.log_weights = nn.Parameter(torch.tensor([-0.5, -1.0, -0.7, 0.1], dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """One application; ``x`` is ``(1, 4)``."""
        z = x - (x - self.y)
        return z.sign() * torch.relu(z.abs() - self.log_weights.exp())

    def derivative(self) -> Tensor:
        """``∂x*ⱼ/∂wⱼ``, closed form: ``−e^w sign(y)`` where ``|y| > e^w``, else 0."""
        w = self.log_weights.detach().exp()
        return torch.where(self.y.abs() > w, -w * self.y.sign(), 0.0)[0]


def quadratic(x: Tensor) -> Tensor:
    """A loss with a gradient and a curvature: ``½‖x − t‖²`` with a fixed target."""
    target = torch.linspace(-1, 2, x.numel(), dtype=x.dtype, device=x.device).view_as(x)
    return 0.5 * (x - target).square().sum()


def gradient(solver: Solver, T: nn.Module, x0: Tensor, loss: Loss = quadratic) -> tuple[Tensor, Solution]:
    """The estimate of the gradient in all parameters of ``T``, flattened; and the solution it came by."""
    T.zero_grad()
    solution = solver(T, x0)
    loss(solution.x).backward()
    missing = [name for name, p in T.named_parameters() if p.grad is None]
    assert not missing, f"no gradient reaches {', '.join(missing)}"
    return torch.cat([p.grad.flatten() for p in T.parameters() if p.grad is not None]), solution


def dense_oracle(T: nn.Module, x0: Tensor, loss: Loss = quadratic) -> Tensor:
    """``Bᵀ(I − Jᵀ)⁻¹v`` with dense float64 Jacobians at the equilibrium, by direct solves."""
    with torch.no_grad():
        x = x0
        for _ in range(500):
            x = T(x)
    n = x.numel()
    jacobian: Tensor = torch.autograd.functional.jacobian(T, x).reshape(n, n)  # pyright: ignore
    (v,) = torch.autograd.grad(loss(leaf := x.clone().requires_grad_()), leaf)
    u = torch.linalg.solve(torch.eye(n, dtype=x.dtype) - jacobian.T, v.flatten())
    grads = torch.autograd.grad(T(x), list(T.parameters()), u.view_as(x))
    return torch.cat([g.flatten() for g in grads])


def relative_error(estimate: Tensor, exact: Tensor) -> float:
    """``‖estimate − exact‖ / ‖exact‖``."""
    return float(torch.linalg.vector_norm(estimate - exact) / torch.linalg.vector_norm(exact))


@dataclass(slots=True)
class Counted:
    """A map that counts its applications, and the vector-Jacobian products taken through it."""

    T: Map
    applications: int = 0
    vjps: int = 0

    def __call__(self, x: Tensor) -> Tensor:
        """``T(x)``, counted."""
        self.applications += 1
        y = self.T(x)
        return _CountVJP.apply(y, self) if y.requires_grad else y  # pyright: ignore


class _CountVJP(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, y: Tensor, counted: Counted) -> Tensor:
        ctx.counted = counted  # pyright: ignore[reportAttributeAccessIssue]
        return y.view_as(y)

    @staticmethod
    def backward(ctx: FunctionCtx, cotangent: Tensor) -> tuple[Tensor, None]:  # pyright: ignore
        ctx.counted.vjps += 1  # pyright: ignore
        return cotangent, None


def start(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """A fixed start of any shape, entries evenly from −1 to 1."""
    return torch.linspace(-1, 1, math.prod(shape), dtype=dtype).view(shape)


def keeps_shape_and_dtype(solver: Solver) -> None:
    """The value has the shape, dtype and device of the start, which is left as it was."""
    for dtype in (torch.float32, torch.float64):
        for shape in ((6,), (2, 6), (2, 1, 3, 6)):
            x0 = start(*shape, dtype=dtype)
            before = x0.clone()
            x = solver(Contraction(dtype=dtype), x0).x
            found = (x.shape, x.dtype, x.device)
            assert found == (x0.shape, x0.dtype, x0.device), f"{shape}, {dtype} became {found}"
            assert torch.equal(x0, before), "the start was changed"


def reaches_every_parameter(solver: Solver) -> None:
    """Every parameter of T gets a finite gradient that is not zero."""
    T = Contraction()
    gradient(solver, T, start(2, 6))
    for name, p in T.named_parameters():
        assert p.grad is not None, f"no gradient reaches {name}"
        assert bool(p.grad.isfinite().all()), f"{name}: {p.grad}"
        assert bool(p.grad.abs().max() > 0), f"the gradient in {name} is zero"


def agrees_with_closed_form(solver: Solver) -> None:
    """Where T is constant in x every estimator is exact: the derivative of soft thresholding."""
    T = SoftThreshold()
    found, _ = gradient(solver, T, torch.zeros_like(T.y), lambda x: x.sum())
    error = relative_error(found, T.derivative())
    assert error <= 1e-14, f"off the closed form by {error:.1e}"


def agrees_with_oracle(solver: Solver, tolerance: float = 1e-9) -> None:
    """The estimate equals the dense float64 implicit gradient."""
    T = Contraction()
    exact = dense_oracle(T, start(2, 6))
    error = relative_error(gradient(solver, T, start(2, 6))[0], exact)
    assert error <= tolerance, f"off the oracle by {error:.1e}, more than {tolerance:.0e}"


def counts_truly(solver: Solver) -> None:
    """The applications and vector-Jacobian products of the solution are those that T saw."""
    T = Contraction()
    counted = Counted(T)
    solution = solver(counted, start(2, 6))
    quadratic(solution.x).backward()
    assert solution.applications == counted.applications, (
        f"{solution.applications} applications reported, {counted.applications} made"
    )
    assert solution.vjps == counted.vjps, f"{solution.vjps} VJPs reported, {counted.vjps} made"


def scales_with_the_loss(solver: Solver) -> None:
    """Scaling the loss by c scales the estimate by c: to the bit for powers of two, else to rounding."""
    T = Contraction()
    plain, _ = gradient(solver, T, start(2, 6))
    for c, tolerance in ((2.0**-20, 0.0), (2.0**20, 0.0), (1e-4, 1e-11), (1e5, 1e-11)):
        scaled, _ = gradient(solver, T, start(2, 6), lambda x, c=c: c * quadratic(x))
        error = relative_error(scaled, c * plain)
        assert error <= tolerance, f"the loss times {c:g}: the estimate is off by {error:.1e}"


def treats_samples_alone(solver: Solver) -> None:
    """The gradient of a batch is the sum of its samples' gradients."""
    T = Contraction()
    x0 = start(3, 6)
    target = start(3, 6).flip(0)
    together, _ = gradient(solver, T, x0, lambda x: (x - target).square().sum())
    alone = torch.stack(
        [
            gradient(solver, T, x0[i : i + 1], lambda x, i=i: (x - target[i]).square().sum())[0]
            for i in range(3)
        ]
    )
    error = relative_error(together, alone.sum(0))
    assert error <= 1e-9, f"the batch differs from its samples by {error:.1e}"


def repeats_itself(solver: Solver) -> None:
    """A second call gives the same bits, and a call after an optimiser step sees the new parameters."""
    untouched = copy.deepcopy(solver)
    T = Contraction()
    first, _ = gradient(solver, T, start(2, 6))
    second, _ = gradient(solver, T, start(2, 6))
    assert torch.equal(first, second), "two calls on the same problem differ"
    with torch.no_grad():
        for p in T.parameters():
            p.mul_(0.9)
    fresh = Contraction()
    fresh.load_state_dict(T.state_dict())
    moved, _ = gradient(solver, T, start(2, 6))
    expected, _ = gradient(untouched, fresh, start(2, 6))
    assert torch.equal(moved, expected), "something of the old parameters is still in use after a step"


def leaves_no_tape(solver: Solver) -> None:
    """Nothing autograd saved outlives ``backward()``, nor a solution dropped without it; no collector needed."""
    with _collector_off():
        for backward in (True, False):
            alive: list[weakref.ref[_Saved]] = []

            def pack(tensor: Tensor, alive: list[weakref.ref[_Saved]] = alive) -> _Saved:
                # Detached: an operation that saves its own output would hold itself through it.
                saved = _Saved(tensor.detach())
                alive.append(weakref.ref(saved))
                return saved

            T = Contraction()
            with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved.tensor):
                solution = solver(T, start(2, 6))
                loss = quadratic(solution.x)
            assert alive, "nothing was recorded"
            if backward:
                loss.backward()  # the solution itself stays, as a training loop might keep it
            else:
                del solution, loss
            left = sum(ref() is not None for ref in alive)
            how = "after backward()" if backward else "though backward() never ran"
            assert left == 0, f"{left} saved tensors are alive {how}"


def leaks_nothing(solver: Solver) -> None:
    """Grad mode, default dtype, thread count and the random state are as before; ``no_grad`` is kept."""

    def state() -> tuple[object, ...]:
        return (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.get_default_dtype(),
            torch.get_num_threads(),
            bytes(torch.get_rng_state().numpy()),
        )

    T = Contraction()
    before = state()
    _, solution = gradient(solver, T, start(2, 6))
    assert state() == before, "the solver changed a global setting"
    with torch.no_grad():
        plain = solver(T, start(2, 6))
        assert not torch.is_grad_enabled(), "the solver turned gradients on"
    assert not plain.x.requires_grad, "a tape was made under no_grad"
    assert torch.equal(plain.x, solution.x.detach()), "the value differs under no_grad"


class _Saved:
    """A saved tensor that can be watched: plain tensors are re-wrapped by autograd."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


@contextmanager
def _collector_off() -> Generator[None]:
    was = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


CHECKS: tuple[Callable[[Solver], None], ...] = (
    keeps_shape_and_dtype,
    reaches_every_parameter,
    agrees_with_closed_form,
    agrees_with_oracle,
    counts_truly,
    scales_with_the_loss,
    treats_samples_alone,
    repeats_itself,
    leaves_no_tape,
    leaks_nothing,
)
