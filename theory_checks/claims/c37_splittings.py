"""C37. The equilibrium and the implicit gradient are the same for every splitting of one problem.

A fixed point of forward–backward, and the image ``x(z) = S prox_{γf}(z)`` of one of ``T_α``, is ``S argmin f + g``
whatever τ, α and γ are; hence the gradient of a loss of that image, through any of them, is the same. Its parts differ:
``J``, ``B`` and the adjoint belong to the operator. An equality, checked to the error of two solves. A wrong γ, a
missing reflection, a ridge that both proxes apply, or z taken for the image, moves it.

An operator whose image at equilibrium is that of forward–backward joins the check by one line in ``splittings``.

Source: Lions, Mercier (1979) and Eckstein, Bertsekas (1992) for the fixed points; for the gradient, C1.
"""

from __future__ import annotations

import functools

from hypothesis import strategies as st
from torch import Tensor

from bench.operators import (
    Splitting,
    admm,
    chambolle_pock,
    douglas_rachford,
    forward_backward,
    half_quadratic,
    peaceman_rachford,
    primal_dual,
)
from bench.penalties import Penalty
from solvers import GMRES, Anderson, implicit

from ..engine import Claim, Sides, conjunction
from ..instances import two_norm
from ..instances.splittings import SplitSpec, build_split, split_problems, why_refused
from ..instances.variational import Acquisition, distance

SOLVER = implicit(Anderson(1e-12, 2000), GMRES(1e-11, 400))


@functools.lru_cache(maxsize=256)
def solve_split(spec: SplitSpec) -> tuple[Tensor, Tensor]:
    """The image of the equilibrium ``(1, C, 16, 16)``, and the gradient of ``½‖x − truth‖²`` in the log-weights."""
    built = build_split(spec)
    x = built.image(SOLVER(built.T, built.operator.start(built.data.x0)).x)
    gradient = built.gradient(0.5 * (x - built.data.truth).square().sum())
    return x.detach(), gradient


def same_equilibrium(spec: SplitSpec) -> Sides:
    """Image and gradient of a splitting against those of forward–backward."""
    reference = SplitSpec(spec.acquisition, spec.penalty, forward_backward())
    (image, gradient), (right_image, right_gradient) = solve_split(spec), solve_split(reference)
    cotangent = distance(right_image, build_split(reference).data.truth)
    return conjunction(
        Sides(two_norm(gradient - right_gradient), 0.0, two_norm(right_gradient) + cotangent),
        Sides(distance(image, right_image), 0.0, float(right_image.norm())),
    )


def _spec(problem: tuple[Acquisition, Penalty], splitting: Splitting) -> SplitSpec:
    return SplitSpec(*problem, splitting)


alphas = st.sampled_from((0.5, 1.0, 0.3, 0.8, 1.1))
gammas = st.sampled_from((None, 0.3, 3.0, 10.0))
# A further splitting with the minimiser of forward–backward is one line here.
splittings: st.SearchStrategy[Splitting] = st.one_of(
    st.builds(douglas_rachford, alphas, gammas),
    st.builds(douglas_rachford, alphas, st.none(), st.sampled_from((1, 5, 20))),
    st.builds(peaceman_rachford, gammas),
    st.builds(admm, gammas),
    st.builds(primal_dual),
    st.builds(chambolle_pock),
)

CLAIM = Claim(
    id="C37",
    statement="image of the equilibrium and ∇_θ ℓ are those of forward–backward for T_α and primal–dual",
    source="Lions, Mercier 1979; Eckstein, Bertsekas 1992",
    assumptions="f strongly convex, g convex, both proxes exact; α < 2/(1+δ)",
    examples=st.tuples(st.builds(_spec, split_problems, splittings)),
    sides=same_equilibrium,
    negative_control=lambda spec: same_equilibrium(
        SplitSpec(spec.acquisition, spec.penalty, half_quadratic(0.1))
    ),
    false_statement="half-quadratic splitting has them too",
    # Error of two solves: their residuals of 1e-12 and 1e-11, times 1/(1−L).
    rounding=1e-8,
    outside=why_refused,
)
