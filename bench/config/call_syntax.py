"""Parse calls such as ``restarted_jfb(10, 10)`` of known names with numbers; no text is ever evaluated."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from typing import TypeVar

from ..operators.splitting import FORWARD_BACKWARD
from ..utils.errors import UserError, unknown

Value = TypeVar("Value")
ON = " on "
"""Stands between solver and operator in the label of a method."""
LONG = 45
"""Characters of a solver's arguments that a table has room for."""
LONGEST = 200
"""Characters of a call. It bounds the depth of the syntax tree; no factory needs more."""

LARGEST = 1e9
"""Largest number in a call; an iteration of more steps would never end."""


def parse_call(
    text: str,
    factories: Mapping[str, Callable[..., Value]],
    kind: str,
    arguments: Mapping[str, Callable[..., object]] | None = None,
) -> Value:
    """Parse a call and return what its factory returns.

    Args:
        text: a name, or a call of it with numbers: ``deq``, ``jfb(40)``, ``deq(tol=1e-8)``.
        factories: functions by name.
        kind: what they make, for messages.
        arguments: functions whose calls may be arguments, such as the priors of a task.

    Raises:
        UserError: ``text`` is not a call, a name is unknown, or the factory refuses its arguments.
    """
    if len(text) > LONGEST:
        raise UserError(f"{kind} of {len(text)} characters: write a call such as {example(factories)}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UserError(
            f"cannot read the {kind} {text!r}: write a call such as {example(factories)}"
        ) from error
    return _call(tree, text, factories, kind, arguments or {})


def example(factories: Mapping[str, Callable[..., object]]) -> str:
    """Signature of the first factory, as an example in messages."""
    name = next(iter(factories))
    return signature(name, factories[name])


def signature(name: str, make: Callable[..., object]) -> str:
    """Signature of a factory as a user may write its call: ``name(K, R)``, ``name(tol=1e-06)``."""
    words = []
    for parameter in inspect.signature(make).parameters.values():
        default = parameter.default
        text = getattr(default, "label", default)  # a default prior stands as its label
        words.append(parameter.name if default is parameter.empty else f"{parameter.name}={text}")
    return f"{name}({', '.join(words)})"


def method_label(solver: str, operator: str) -> str:
    """Name of a solver on an operator: ``deq(1e-06) on peaceman_rachford``, and ``deq(1e-06)`` on forward–backward."""
    return solver if operator == FORWARD_BACKWARD else f"{solver}{ON}{operator}"


def family(method: str) -> str:
    """A method without its arguments: ``deq`` of ``deq(1e-06)``, ``deq on admm`` of ``deq(1e-06) on admm(2.0)``."""
    return ON.join(call.partition("(")[0] for call in method.split(ON))


def solver_of(method: str) -> str:
    """The solver of a method or of a family, without its operator."""
    return method.partition(ON)[0]


def arguments(method: str) -> str:
    """Arguments of a method: ``10, 4`` of ``restarted_jfb(10, 4)``, ``0.1; 2.0`` of ``certified(0.1) on admm(2.0)``."""
    parts = (call.partition("(")[2].removesuffix(")") for call in method.split(ON))
    return "; ".join(filter(None, parts))


def brief(solver: str) -> str:
    """The arguments of a call; of many, the first two."""
    words = arguments(solver)
    return words if len(words) <= LONG else ", ".join(words.split(", ")[:2]) + ", …"


def brief_call(method: str) -> str:
    """A method with at most two arguments of its solver."""
    solver, on, operator = method.partition(ON)
    return f"{family(solver)}({brief(solver)}){on}{operator}"


def _call(
    node: ast.expr,
    text: str,
    factories: Mapping[str, Callable[..., Value]],
    kind: str,
    arguments: Mapping[str, Callable[..., object]],
) -> Value:
    match node:
        case ast.Name(id=name):
            args, keywords = [], []
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            pass
        case _:
            raise UserError(f"cannot read the {kind} {text!r}: write a call such as {example(factories)}")
    if name not in factories:
        raise unknown(kind, name, factories)
    make = factories[name]
    positional = [_argument(a, text, kind, arguments) for a in args]
    named = {k.arg: _argument(k.value, text, kind, arguments) for k in keywords if k.arg}
    if len(named) != len(keywords):  # **options, or a name twice
        raise UserError(f"cannot read the {kind} {text!r}: write {signature(name, make)}")
    try:
        inspect.signature(make).bind(*positional, **named)
    except TypeError as error:
        raise UserError(f"{kind} {text!r}: {error}; write {signature(name, make)}") from error
    try:
        return make(*positional, **named)
    except ValueError as error:
        raise UserError(f"{kind} {text!r}: {error}") from error


def _argument(node: ast.expr, text: str, kind: str, arguments: Mapping[str, Callable[..., object]]) -> object:
    match node:
        # bool is a subclass of int, so True and False are numbers.
        case ast.Constant(value=int() | float() as number) if abs(number) <= LARGEST:
            return number
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.Name() | ast.Call(func=ast.Name()) if arguments:
            return _call(node, text, arguments, f"argument of the {kind}", {})
        case _:
            raise UserError(
                f"cannot read the {kind} {text!r}: its arguments are plain numbers up to {LARGEST:g}, True or False"
            )
