"""Known issues of torchopt 0.7, which is in no dependency group: ``pip install torchopt==0.7.3``."""

# No environment of the project holds the library.
# pyright: reportMissingImports=false
from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeAlias

import torch
from torch import Tensor
from torch.func import functional_call

from solvers import Anderson, Map, Solution, SolveReport

from ...operators import BoundOperator
from .known_issue import Measure, error_percent, known_issue, raised, second_derivative

Product: TypeAlias = Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]
Solve: TypeAlias = Callable[[Product, tuple[Tensor, ...]], tuple[Tensor, ...]]
"""A solver of ``A u = b``, of ``torchopt.linear_solve``, where a product is ``u -> A u``."""

ISSUES: list[Measure] = []
"""In the order of the table."""
torchopt_issue = functools.partial(known_issue, ISSUES, "torchopt")


@contextmanager
def _quiet() -> Generator[None]:
    """It calls ``functorch``, which torch announces to delete."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def root_gradient(solve: Solve, applications: list[int]) -> Callable[[Map, Tensor], Solution]:
    """``custom_root`` at the equilibrium that our Anderson acceleration finds to 1e-12.

    All parameters of the operator are arguments of the optimality function, because torchopt differentiates arguments
    alone. ``applications`` gets an entry for each application in ``backward()``.
    """
    from torchopt.diff.implicit import custom_root

    def solver(T: Map, x0: Tensor) -> Solution:
        assert isinstance(T, BoundOperator)
        learnable = {name: p for name, p in T.operator.named_parameters() if p.requires_grad}

        def optimality(x: Tensor, *values: Tensor) -> Tensor:
            applications.append(1)
            state = dict(zip(learnable, values, strict=True))
            return functional_call(T.operator, state, (x, T.y, T.physics), {"data": T.data}) - x

        def forward(x0: Tensor, *values: Tensor) -> Tensor:
            return Anderson(1e-12, 5000)(T, x0).x

        arguments = tuple(range(1, len(learnable) + 1))
        root = custom_root(optimality, argnums=arguments, solve=solve)(forward)
        return Solution(root(x0, *learnable.values()), SolveReport(0), 1)

    return solver


@torchopt_issue(
    "`custom_root` on deblurring(huber), `solve_normal_cg()` (the default), `solve_cg()`, each to its `rtol` of 1e-5: "
    "products of the adjoint equation, error",
    "products as for `solve_cg`",
)
def normal_equations() -> str:
    """Normal equations square the condition number; each iteration makes a product and one of its transpose."""
    from torchopt.linear_solve import solve_cg, solve_normal_cg

    return "; ".join(_cost(solve()) for solve in (solve_normal_cg, solve_cg))


def _cost(solve: Solve) -> str:
    products: list[int] = []

    def counted(product: Product, b: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        def with_count(u: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            products.append(1)
            return product(u)

        return solve(with_count, b)

    with _quiet():
        error = error_percent(root_gradient(counted, []))
    return f"{len(products)}, {error}"


@torchopt_issue("`custom_root`: applications of T in `backward()`", "0")
def taped_again() -> str:
    """It tapes T once for products, and once for the parameters."""
    from torchopt.linear_solve import solve_cg

    applications: list[int] = []
    with _quiet():
        error_percent(root_gradient(solve_cg(), applications))
    return f"{len(applications)}"


@torchopt_issue(
    "`custom_root` on x = pqx/2 + p with p an argument and q in a closure, both require gradients: gradient of q",
    "a number, or an error",
)
def closure() -> str:
    """Only arguments are differentiated. With q alone, ``backward()`` raises."""
    from torchopt.diff.implicit import custom_root

    p, q = (torch.tensor([value], dtype=torch.float64, requires_grad=True) for value in (1.0, 0.5))

    def optimality(x: Tensor, p: Tensor) -> Tensor:
        return p * q * x / 2 + p - x

    root = custom_root(optimality, argnums=1)(lambda x0, p: p / (1 - p * q / 2))
    with _quiet():
        error = raised(lambda: root(torch.zeros_like(p), p).sum().backward())
    return f"{q.grad}, {error}"


@torchopt_issue(
    "`custom_root(solve=solve_cg())` on x = Jx + p, J = [[0.5, 0.8], [−0.8, 0.5]], loss x₁: distance of the gradient",
    "0, or an error",
)
def asymmetric() -> str:
    """Conjugate gradients do not notice a J that is not symmetric."""
    from torchopt.diff.implicit import custom_root
    from torchopt.linear_solve import solve_cg

    J = torch.tensor([[0.5, 0.8], [-0.8, 0.5]], dtype=torch.float64)
    system = torch.eye(2, dtype=torch.float64) - J
    p = torch.ones(2, dtype=torch.float64, requires_grad=True)

    def optimality(x: Tensor, p: Tensor) -> Tensor:
        return J @ x + p - x

    root = custom_root(optimality, argnums=1, solve=solve_cg())(
        lambda x0, p: torch.linalg.solve(system, p.detach())
    )
    exact = torch.linalg.inv(system)[0]
    with _quiet():
        error = raised(lambda: root(torch.zeros_like(p), p)[0].backward())
    assert p.grad is not None
    return f"{100 * float((p.grad - exact).norm() / exact.norm()):.0f} %, {error}"


@torchopt_issue(
    "`custom_root` on x = (x + p²)/2 at p = 1.5, loss ½x²: second derivative", "13.5, or an error"
)
def torchopt_second_derivative() -> str:
    """The solution that is saved for ``backward()`` has no tape."""
    from torchopt.diff.implicit import custom_root

    p = torch.tensor([1.5], dtype=torch.float64, requires_grad=True)

    def optimality(x: Tensor, p: Tensor) -> Tensor:
        return (x + p * p) / 2 - x

    root = custom_root(optimality, argnums=1)(lambda x0, p: p.detach() * p.detach())
    with _quiet():
        return second_derivative(root(torch.zeros_like(p), p), p)
