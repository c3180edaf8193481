"""C23. The size of the tape: affine in K and independent of R for restarted JFB; constant for the Neumann series.

Counted are the bytes that autograd saves in a training step, each storage once, without parameters, spectra and
data. Restarted JFB: ``bytes(K, R) = bytes(2) + (K − 2)(bytes(3) − bytes(2))`` for K ≥ 2; the first recorded
layer saves less, because its input needs no gradient. Neumann: ``bytes(N, K) = bytes(0, 1)``. Equalities of
whole numbers.

Source: PROOFS S13.
"""

from __future__ import annotations

from hypothesis import strategies as st

from bench.measurement.memory import saved_bytes
from bench.tasks import loss
from solvers import Solver, neumann, restarted_jfb

from ..engine import Claim, Sides
from ..instances.variational import VariationalSpec, build_variational, variational_specs


def tape_bytes(problem: VariationalSpec, solver: Solver) -> int:
    """Number of bytes that autograd saves in a training step with ``solver``."""
    built = build_variational(problem)
    data, operator = built.data, built.operator
    operator.zero_grad(set_to_none=True)
    excluded = [*operator.parameters(), *operator.buffers(), *data.physics.buffers()]
    # The start counts: with restarts the first recorded input is a new tensor, and must count the same without.
    with saved_bytes([*excluded, data.truth, data.y]) as saved:
        loss(solver(built.T, data.x0).x, data.truth).backward()
    return saved.count


def _sides(problem: VariationalSpec, K: int, R: int, deeper: bool = True) -> Sides:
    two = tape_bytes(problem, restarted_jfb(2, 0))
    layer = tape_bytes(problem, restarted_jfb(3, 0)) - two if deeper else 0
    restarted = abs(tape_bytes(problem, restarted_jfb(K, R)) - (two + (K - 2) * layer))
    series = abs(tape_bytes(problem, neumann(K * R, K)) - tape_bytes(problem, neumann(0, 1)))
    return Sides(restarted + series, 0.0, two)


CLAIM = Claim(
    id="C23",
    statement="the tape of restarted JFB is affine in K and independent of R, of Neumann independent of N, K",
    source="PROOFS S13",
    assumptions="every application of T saves the same (no data-dependent branches)",
    examples=st.tuples(variational_specs(), st.integers(2, 7), st.integers(0, 3)),
    sides=_sides,
    negative_control=lambda problem, K, R: _sides(problem, K, R, deeper=False),
    false_statement="the tape of restarted JFB is independent of K too",
    rounding=0.0,
)
