"""The rows of the table; a further one is one more value in the list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from solvers import (
    GMRES,
    Anderson,
    Solver,
    TruncatedBackprop,
    certified,
    estimated,
    implicit,
    jfb,
    restarted_jfb,
)
from solvers.optimisers import HOAG, LBFGS, MAID, Adam, CertifiedDescent

from ...external import deepinv_anderson, torchdeq_anderson
from ...operators import forward_backward, peaceman_rachford
from ...utils.errors import UserError
from .row import Row

PAPER = "arXiv 2506.13239"
STUDY = "arXiv 2510.01755"
HYPER = "arXiv 1602.02355"
ADAPTIVE = "arXiv 2308.10098"
OURS = "eqgrad"
FINER = (estimated(0.1), estimated(0.01))
"""Solvers with which L-BFGS goes on where that of the row lowers the loss no more."""

REFERENCE = Row(
    "reference",
    peaceman_rachford(),
    implicit(Anderson(1e-7), GMRES(1e-6)),
    LBFGS(memory=20, noise=1e-7),
    True,
    40,
    5000,
)
"""Finds the best loss; it is in no table."""


def all_rows() -> list[Row]:
    """All rows. Raises ``UserError`` if torchdeq is not installed."""
    forward, splitting = forward_backward(), peaceman_rachford(depth=10)
    tight, loose = implicit(Anderson(1e-4), GMRES(3e-3)), implicit(Anderson(5e-4), GMRES(2e-2))
    # Settings with which each library's gradient is within 1 % on deblurring(huber): profile pareto.
    deq = deepinv_anderson(50, 12, 5, 0.9, 1e-12, 10, 1.0, 1e-16, 1e-12)
    anderson = torchdeq_anderson(35, 15, tol=0, tol_backward=0, m=10, lam=1e-12, lam_backward=1e-16)
    # On random patches, as in the study, there is no last solution to start at.
    study_ift = implicit(Anderson(1e-4), GMRES(1e-6))
    study_jfb = Solver("jfb at anderson(0.0001)", Anderson(1e-4), TruncatedBackprop(1))
    adam, lbfgs = Adam(lr=0.15), LBFGS()
    return [
        Row(PAPER, forward, restarted_jfb(10, 10), adam, False),
        Row(PAPER, forward, restarted_jfb(10, 10), adam, True),
        Row("arXiv 2103.12803", forward, jfb(40), adam, False),
        Row("deepinv", forward, deq, adam, False),
        Row("torchdeq", forward, anderson, adam, False),
        Row(STUDY, forward, study_ift, adam, False),
        Row(STUDY, forward, study_jfb, adam, False),
        Row(OURS, forward, tight, adam, True),
        Row(OURS, forward, tight, lbfgs, True),
        *(
            Row(OURS, splitting, restarted_jfb(5, 1), optimiser, warm)
            for optimiser in (adam, lbfgs)
            for warm in (False, True)
        ),
        Row(OURS, splitting, loose, adam, True),
        Row(OURS, splitting, loose, lbfgs, True),
        Row(OURS, splitting, certified(0.1), lbfgs, True, products=2000),
        Row(OURS, splitting, estimated(1e-2), lbfgs, True),
        Row(OURS, splitting, estimated(1e-2), LBFGS(warm_adjoint=True), True),
        # Few applications, whose error L-BFGS meets with a finer solver. Depths were chosen on deblurring(huber) with
        # seeds 3 to 5: 36 products to 99 % at depth 3, 51 at 4, 60 at 5 and 72 at 6.
        *(Row(OURS, splitting, restarted_jfb(depth, 0), LBFGS(finer=FINER), True) for depth in (3, 4)),
        Row(OURS, splitting, restarted_jfb(6, 0), lbfgs, True),
        Row(OURS, splitting, certified(0.1), CertifiedDescent(), True),
        # These two solve to tolerances of their own; the solver of the row is not used.
        Row(HYPER, splitting, estimated(1e-2), HOAG(), True),
        Row(HYPER, splitting, estimated(1e-2), HOAG(first=1.0), True),
        Row(ADAPTIVE, splitting, estimated(1e-2), MAID(), True),
    ]


def choose(texts: Sequence[str] | None) -> list[Row]:
    """The rows whose labels have one of the texts; all for ``None``. Raises ``UserError`` if a text is in none."""
    rows = all_rows()
    for text in texts or ():
        if not any(text in row.label for row in rows):
            raise UserError(f"no row has {text!r} in its label; the first is {rows[0].label!r}")
    return [row for row in rows if not texts or any(text in row.label for text in texts)]


def shortened(rows: Sequence[Row], steps: int | None) -> list[Row]:
    """The rows with at most so many steps; as they are for ``None``."""
    return [row if steps is None else replace(row, steps=min(row.steps, steps)) for row in rows]
