"""A solver written as its label: ``deq(1e-4)``, ``implicit(anderson(1e-4), gmres(3e-3))``. Nothing is evaluated."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping

from ._core.solver import Solver
from .registry import ESTIMATORS, SOLVER_PARTS

LONGEST = 200
"""Characters of a text, which bounds the depth of its syntax tree."""


def parse_solver(text: str) -> Solver:
    """Return the solver with a label.

    Args:
        text: a call of an estimator with numbers and with calls of parts of solvers, as ``Solver.label`` prints it.

    Raises:
        ValueError: it is no such call, a name is unknown, or the estimator refuses its arguments.
    """
    try:
        if len(text) > LONGEST:
            raise SyntaxError
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        raise ValueError(f"cannot read the solver {text[:60]!r}: write a call such as 'deq(1e-4)'") from None
    solver = _call(tree, text, {name: entry.make for name, entry in ESTIMATORS.items()})
    assert isinstance(solver, Solver)
    return solver


def _call(tree: ast.expr, text: str, makers: Mapping[str, Callable[..., object]]) -> object:
    if not (isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name)):
        raise ValueError(f"solver {text!r}: write calls with numbers, such as 'deq(1e-4)'")
    if (name := tree.func.id) not in makers:
        raise ValueError(f"solver {text!r}: {name} is none of {', '.join(makers)}")
    arguments = [_argument(argument, text) for argument in tree.args]
    settings: dict[str, object] = {}
    for keyword in tree.keywords:
        if keyword.arg is None:
            raise ValueError(f"solver {text!r}: name each setting")
        settings[keyword.arg] = _argument(keyword.value, text)
    try:
        return makers[name](*arguments, **settings)
    except (TypeError, ValueError) as error:
        raise ValueError(f"solver {text!r}: {error}") from error


def _argument(tree: ast.expr, text: str) -> object:
    if isinstance(tree, ast.Call):
        return _call(tree, text, SOLVER_PARTS)
    try:
        value: object = ast.literal_eval(tree)
    except ValueError:
        value = None
    if not isinstance(value, bool | int | float):
        raise ValueError(f"solver {text!r}: {ast.unparse(tree)} is no number")
    return value
