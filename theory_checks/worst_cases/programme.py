"""The exact worst case of a bound, as a semidefinite programme with rational coefficients.

PEPit writes the worst case over a function class as a linear programme in the Gram matrix G of all points and gradients
and in the function values F (performance estimation: Drori and Teboulle 2014; Taylor, Hendrickx and Glineur 2017). Its
coefficients are doubles. Those of ``models/`` are fractions with small denominators, so they are read back exactly.

Source: Goujaud et al., *PEPit* (arXiv 2201.04040).
"""

# The counters of PEPit are "int | None" for its stubs.
# pyright: reportArgumentType=false, reportCallIssue=false
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from PEPit import PEP, Expression, Point

DENOMINATOR = 10**6
"""Two fractions with denominators up to this differ by 1e-12 or more, far more than doubles round off."""


class NotRational(ValueError):  # noqa: N818
    """A coefficient is not a fraction with a small denominator."""


@dataclass(frozen=True, slots=True)
class Form:
    """``⟨A, G⟩ + bᵀF + c``.

    Attributes:
        gram: entries of the symmetric A, with both of ``(i, j)`` and ``(j, i)``.
        values: entries of b.
        constant: c.
    """

    gram: dict[tuple[int, int], Fraction]
    values: dict[int, Fraction]
    constant: Fraction


@dataclass(frozen=True, slots=True)
class Programme:
    """``max metric`` over ``G ⪰ 0`` and F, with ``inequalities ≤ 0``, ``equalities = 0`` and ``matrices ⪰ 0``.

    Attributes:
        points: size of G.
        values: size of F.
        metric: what is maximised.
        inequalities, equalities: forms.
        matrices: square matrices of forms; their symmetric parts are meant.
    """

    points: int
    values: int
    metric: Form
    inequalities: tuple[Form, ...]
    equalities: tuple[Form, ...]
    matrices: tuple[tuple[tuple[Form, ...], ...], ...]

    @property
    def constraints(self) -> tuple[Form, ...]:
        """The inequalities, then the equalities."""
        return (*self.inequalities, *self.equalities)


def exact_fraction(value: float) -> Fraction:
    """The fraction with a small denominator that ``value`` rounds.

    Raises:
        NotRational: there is none within the rounding of a few operations.
    """
    fraction = Fraction(value).limit_denominator(DENOMINATOR)
    if abs(value - fraction) > Fraction(1, 10**14) * max(1, abs(fraction)):
        raise NotRational(f"{value!r} is not a fraction with a denominator up to {DENOMINATOR}")
    return fraction


def _form(expression: Expression | float) -> Form:
    if not isinstance(expression, Expression):
        return Form({}, {}, exact_fraction(expression))
    gram: dict[tuple[int, int], Fraction] = {}
    values: dict[int, Fraction] = {}
    constant = Fraction(0)
    parts = {expression: 1} if expression.get_is_leaf() else expression.decomposition_dict
    for key, weight in parts.items():
        weight = exact_fraction(weight)
        if isinstance(key, Expression):
            values[key.counter] = values.get(key.counter, Fraction(0)) + weight
        elif isinstance(key, tuple):
            i, j = (point.counter for point in key)
            for place in ((i, j), (j, i)):
                gram[place] = gram.get(place, Fraction(0)) + weight / 2
        else:
            constant += weight
    return Form(gram, values, constant)


def read_programme(problem: PEP) -> Programme:
    """Read the programme of a PEPit problem with one performance metric, before or after it is solved.

    Raises:
        NotRational: a coefficient is not a fraction with a small denominator.
        ValueError: there is not exactly one performance metric.
    """
    metrics: Sequence[Expression] = problem.list_of_performance_metrics
    if len(metrics) != 1:
        raise ValueError(f"one performance metric is needed, not {len(metrics)}")
    problem._prepare_constraints(verbose=0)
    # PEPit puts the metrics first, as ``objective ≤ metric`` for an objective of its own.
    prepared = problem._list_of_prepared_constraints[1:]
    inequalities = [c for c in prepared if c.equality_or_inequality == "inequality"]
    equalities = [c for c in prepared if c.equality_or_inequality == "equality"]
    matrices = (matrix.matrix_of_expressions for matrix in problem._list_of_prepared_psd)
    return Programme(
        Point.counter,
        Expression.counter,
        _form(metrics[0]),
        tuple(_form(constraint.expression) for constraint in inequalities),
        tuple(_form(constraint.expression) for constraint in equalities),
        tuple(
            tuple(tuple(_form(entry) for entry in row) for row in matrix)
            for matrix in matrices
            if len(matrix)
        ),
    )
