"""C35. If the constants are unknown, an estimate has a safety factor of two for each of them.

``1/(1−L)``, ``‖B‖``, and every change of a derivative are taken twice as large as observed. On ``±Lx + θ + c``
with a squared error as the loss, observation in any direction gives the true constants. There the estimate has
half of ``1 − L`` and twice Λ, and the certificate is at least twice the error. The first two are attained.

Source: C13, with the constants that ``solvers`` observes.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import strategies as st

from solvers import restarted_jfb

from ..engine import Claim, Sides, conjunction
from ..instances import Case, solve_exactly, synthetic, two_norm
from .certified_runs import monitored_step

SAFETY = 2.0
"""The safety factor of ``solvers``, repeated here so that a change of it is noticed."""


def _sides(case: Case, K: int, settled: bool, factor: float) -> Sides:
    started = replace(case, x0=solve_exactly(case).x) if settled else case
    # A plain loss: the monitor has to estimate its constants, as it does those of T.
    certificate, gradient = monitored_step(
        started, restarted_jfb(K, 0), started.T, lambda x: started.loss(x, started.T.theta)
    )
    error = two_norm(gradient - solve_exactly(started).gradient)
    # On an affine map, the curvature of the loss is the only term that grows with the distance to the equilibrium.
    curvature_term = certificate.amplification * certificate.distance * case.loss.q
    # Λ is observed as a difference of two gradients of the loss, with their rounding.
    rounding = 8 * torch.finfo(torch.float64).eps * certificate.amplification * certificate.size
    return conjunction(
        Sides(factor * error, certificate.error, two_norm(solve_exactly(case).gradient)),
        Sides(1 - certificate.L, (1 - case.L) / factor),
        Sides(
            0.0 if settled else factor * curvature_term, certificate.equilibrium + rounding, certificate.error
        ),
    )


CLAIM = Claim(
    id="C35",
    statement="if the observed constants are exact, an estimate doubles 1/(1−L) and Λ, and bounds 2 ‖g − F'‖",
    source="C13",
    assumptions="J = ±L I, B = I, L < 1",
    examples=st.tuples(
        st.one_of(
            synthetic.isotropics,
            st.builds(synthetic.isotropic, synthetic.sizes, synthetic.factors, synthetic.seeds, st.just(-1)),
        ),
        synthetic.depths,
        st.booleans(),
    ),
    sides=lambda case, K, settled: _sides(case, K, settled, SAFETY),
    negative_control=lambda case, K, settled: _sides(case, K, settled, 1.02 * SAFETY),
    false_statement="with a factor of 2.04",
    rounding=1e-10,
    attained=True,
)
