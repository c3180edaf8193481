"""What the attack found, in its smallest form: each of these was false or crashed once."""

from __future__ import annotations

import torch

from solvers import LipschitzConstants, SmoothLoss, audit
from solvers._certificates.products import pullback, taped
from theory_checks.attack.problem import AttackProblem
from theory_checks.attack.trial import AttackTrial, run_trial

F64 = torch.float64


def test_a_broadcast_parameter_used_twice_has_one_gradient_with_and_without_a_hook():
    # The branches were walked with the second contribution added before it was summed over broadcast dimensions.
    size = torch.randn(1, 3, 1, 1, dtype=F64).requires_grad_()
    x = torch.randn(2, 3, 4, 4, dtype=F64)

    def T(x: torch.Tensor) -> torch.Tensor:
        scale = size.exp()
        return (scale * x).sin() / scale

    plain = pullback(taped(T, x), [size], x)
    handle = size.register_hook(lambda gradient: None)
    hooked = pullback(taped(T, x), [size], x)
    handle.remove()
    for expected, found in zip(plain, hooked, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_an_audit_of_a_ridge_regulariser_in_a_backward_pass_holds():
    problem = AttackProblem("crr_circular", weight=0.005, step=1.0, seed=14)
    found = run_trial(AttackTrial(problem, estimator="deq", tol=1e-13, audit=True))
    assert found.rigorous
    assert found.ratio <= 1


def test_an_audit_of_a_map_without_dependence_on_its_parameter_ends():
    # ‖B‖ = 0, so the tolerance of the adjoint equation was divided by 0.
    theta = torch.ones(3, dtype=F64, requires_grad=True)

    class Constant:
        def __call__(self, x: torch.Tensor) -> torch.Tensor:
            return 0.5 * x + 1 + 0 * theta

        def regularity(self) -> LipschitzConstants:
            return LipschitzConstants(0.5, 0.0, 0.0, lambda x: 0.0, parameters=[theta])

    loss = SmoothLoss(lambda x: (theta * x).sum(), 0.0, 1.0, [theta])
    start = torch.zeros(3, dtype=F64)
    bound = audit(Constant(), start, loss, [theta], [torch.full_like(start, 2.0)])
    assert bound.rigorous
    assert bound.error < 1e-6
