"""Known issues of silva-networks 1.2, which is in no dependency group.

It asks for numpy below 2, and our pandas for a later one: ``pip install --no-deps silva-networks==1.2.2`` goes.
"""

# No environment of the project holds the library.
# pyright: reportMissingImports=false
from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from solvers import Map, Solution, SolveReport
from solvers.conformance import CountedMap

from ...operators import BoundOperator
from .known_issue import Measure, error_percent, known_issue, raised

if TYPE_CHECKING:
    from silva_networks import SolverConfig

ISSUES: list[Measure] = []
"""In the order of the table."""
silva_issue = functools.partial(known_issue, ISSUES, "silva-networks")


def equilibrium_gradient(
    config: SolverConfig, counted: list[CountedMap]
) -> Callable[[Map, Tensor], Solution]:
    """``solve_equilibrium`` with all parameters of the operator; ``counted`` gets the map, with its counts."""
    from silva_networks import solve_equilibrium

    def solver(T: Map, x0: Tensor) -> Solution:
        assert isinstance(T, BoundOperator)
        counted.append(CountedMap(T))
        learnable = tuple(p for p in T.operator.parameters() if p.requires_grad)
        found = solve_equilibrium(counted[-1], x0, config, params=learnable)
        return Solution(found.z, SolveReport(0), 1)

    return solver


def _cost(config: SolverConfig) -> str:
    counted: list[CountedMap] = []
    error = error_percent(equilibrium_gradient(config, counted))
    return f"{counted[-1].applications} + {counted[-1].vjps}, {error}"


@silva_issue(
    '`backward_mode="implicit"`, 400 + 400, `backward_tol` as it comes (1e-6, absolute); the mean-squared loss × 1e4, '
    "1, 1e-2, 1e-4",
    "one error",
)
def silva_absolute_tolerance() -> str:
    """``backward_tol`` is a norm, unless ``backward_stop_mode`` is relative."""
    from silva_networks import SolverConfig

    config = SolverConfig(backward_mode="implicit", max_iter=400, tol=1e-30, backward_max_iter=400)
    solver = equilibrium_gradient(config, [])
    return ", ".join(error_percent(solver, scale) for scale in (1e4, 1.0, 1e-2, 1e-4))


@silva_issue(
    '`SolverConfig(solver="anderson")`, whose default `backward_mode` is "unrolled": applications + VJPs, error; '
    'and of `solver="picard", backward_mode="jfb"`',
    "51 + 50; 51 + 1",
)
def unrolled_anderson() -> str:
    """The history of Anderson acceleration is detached, so that one application is left on the tape."""
    from silva_networks import SolverConfig

    return "; ".join(
        _cost(config) for config in (SolverConfig(solver="anderson"), SolverConfig(backward_mode="jfb"))
    )


@silva_issue(
    '`SolverConfig(solver="anderson", backward_mode="implicit")`, `ridge` 1e-4 (default), 1e-12: error after 50 '
    "applications",
    "one error",
)
def silva_absolute_regularisation() -> str:
    """``ridge`` is added to squares of residuals, whatever their size."""
    from silva_networks import SolverConfig

    return ", ".join(
        error_percent(
            equilibrium_gradient(SolverConfig(solver="anderson", backward_mode="implicit", ridge=ridge), [])
        )
        for ridge in (1e-4, 1e-12)
    )


@silva_issue('`backward_mode="implicit"`, GMRES, `backward_max_iter=10`: VJPs', "12")
def twice_as_many() -> str:
    """Each iteration measures the residual by a further product."""
    from silva_networks import SolverConfig

    counted: list[CountedMap] = []
    config = SolverConfig(backward_mode="implicit", backward_max_iter=10)
    error_percent(equilibrium_gradient(config, counted))
    return f"{counted[-1].vjps}"


@silva_issue(
    '`solver="broyden", backward_mode="shine", history=50`: error after at most 50, 200 applications',
    "less than of JFB, 94 %",
)
def shine() -> str:
    """The inverse of the forward solve is taken for the adjoint one's; nothing bounds it."""
    from silva_networks import SolverConfig

    return ", ".join(
        error_percent(
            equilibrium_gradient(
                SolverConfig(solver="broyden", backward_mode="shine", history=50, max_iter=most), []
            )
        )
        for most in (50, 200)
    )


@silva_issue(
    '`solve_equilibrium(…, params=(p,))` on x = pqx/2 + p, both require gradients, "implicit": gradient of q',
    "a number, or an error",
)
def parameter_left_out() -> str:
    """Only tensors in ``params`` and ``tensors`` are differentiated."""
    from silva_networks import SolverConfig, solve_equilibrium

    p, q = (torch.tensor([value], dtype=torch.float64, requires_grad=True) for value in (1.0, 0.5))
    config = SolverConfig(backward_mode="implicit")
    found = solve_equilibrium(lambda x: p * q * x / 2 + p, torch.zeros_like(p), config, params=(p,))
    error = raised(lambda: found.z.sum().backward())
    return f"{q.grad}, {error}"
