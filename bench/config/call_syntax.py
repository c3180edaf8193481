"""Text to value and back: ``restarted_jfb(10, 10)`` as a call of a roster, parsed and never evaluated."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from typing import TypeVar

from ..utils.errors import UserError, unknown

Value = TypeVar("Value")
LONGEST = 200
"""Characters of a call; nothing on a roster needs more, and it bounds the depth of its syntax tree."""

LARGEST = 1e9
"""Of the numbers in a call: an iteration of more steps ends with nobody waiting for it."""


def parse_call(
    text: str,
    roster: Mapping[str, Callable[..., Value]],
    kind: str,
    arguments: Mapping[str, Callable[..., object]] | None = None,
) -> Value:
    """The value that ``text`` calls for.

    Args:
        text: a name of the roster, or a call of one with numbers: ``deq``, ``jfb(40)``, ``deq(tol=1e-8)``.
        roster: factories by name.
        kind: what they make, for the messages.
        arguments: factories that may stand as arguments, such as the priors of a task.

    Raises:
        UserError: ``text`` is no such call, names nothing known, or the factory refuses its arguments.
    """
    if len(text) > LONGEST:
        raise UserError(f"{kind} of {len(text)} characters: write a call such as {example(roster)}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"cannot read the {kind} {text!r}: write a call such as {example(roster)}") from error
    return _call(tree, text, roster, kind, arguments or {})


def example(roster: Mapping[str, Callable[..., object]]) -> str:
    """A call on the roster, with the names of its arguments."""
    name = next(iter(roster))
    return signature(name, roster[name])


def signature(name: str, make: Callable[..., object]) -> str:
    """``name(K, R)``, ``name(tol=1e-06)``: the call as a user may write it."""
    words = []
    for parameter in inspect.signature(make).parameters.values():
        given = parameter.default
        shown = getattr(given, "label", given)  # a prior is shown as it is written
        words.append(parameter.name if given is parameter.empty else f"{parameter.name}={shown}")
    return f"{name}({', '.join(words)})"


def family(call: str) -> str:
    """The name of a call: ``deq`` of ``deq(1e-06)``."""
    return call.partition("(")[0]


def arguments(call: str) -> str:
    """What stands in the parentheses of a call: ``10, 4`` of ``restarted_jfb(10, 4)``."""
    return call.partition("(")[2].removesuffix(")")


def _call(
    node: ast.expr,
    text: str,
    roster: Mapping[str, Callable[..., Value]],
    kind: str,
    arguments: Mapping[str, Callable[..., object]],
) -> Value:
    match node:
        case ast.Name(id=name):
            positional, named = [], {}
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            if name not in roster:
                raise unknown(kind, name, roster)
            positional = [_argument(a, text, kind, arguments) for a in args]
            named = {k.arg: _argument(k.value, text, kind, arguments) for k in keywords if k.arg}
            if len(named) != len(keywords):
                raise UserError(f"cannot read the {kind} {text!r}: write {signature(name, roster[name])}")
        case _:
            raise UserError(f"cannot read the {kind} {text!r}: write a call such as {example(roster)}")
    if name not in roster:
        raise unknown(kind, name, roster)
    make = roster[name]
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
        case ast.Constant(value=int() | float() as number) if (
            abs(number) <= LARGEST
        ):  # True and False are of them
            return number
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.Name() | ast.Call(func=ast.Name()) if arguments:
            return _call(node, text, arguments, f"argument of the {kind}", {})
        case _:
            pass
    raise UserError(
        f"cannot read the {kind} {text!r}: its arguments are plain numbers up to {LARGEST:g}, True or False"
    )
