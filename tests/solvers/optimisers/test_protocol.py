"""What every optimiser promises: descent, counts, and steps that continue to the bit."""

from __future__ import annotations

import io
import itertools

import pytest
import torch

from solvers import certified, implicit, jfb
from solvers._adjoint.gmres import GMRES
from solvers._forward.anderson import Anderson
from solvers.optimisers import HOAG, LBFGS, MAID, SGD, Adam, CertifiedDescent, Evaluator

EXACT = implicit(Anderson(1e-12), GMRES(1e-12))
OPTIMISERS = (
    *(Adam(0.1), SGD(0.2, 0.5), LBFGS(0.5), HOAG(0.2), MAID(0.2), CertifiedDescent(0.5)),
    LBFGS(0.5, warm_adjoint=True, finer=(jfb(200),)),
)


def solver_for(optimiser):
    return certified(0.1) if isinstance(optimiser, CertifiedDescent) else EXACT


def stored(state):
    """The state from a file, as a caller would read it."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=repr)
def test_it_goes_on_from_a_stored_state_to_the_bit(optimiser, objective):
    whole = list(itertools.islice(optimiser.minimise(objective, solver_for(optimiser)), 8))
    objective.move(torch.ones(5, dtype=torch.float64))  # the state decides, not θ
    # Later steps have left the state of an earlier one as it was.
    state = stored(whole[3].state)
    rest = list(itertools.islice(optimiser.minimise(objective, solver_for(optimiser), state), 4))
    for a, b in zip(whole[4:], rest, strict=True):
        assert (a.number, a.work, a.trials, a.why) == (b.number, b.work, b.trials, b.why)
        assert torch.equal(a.evaluation.theta, b.evaluation.theta)
        assert torch.equal(a.evaluation.gradient, b.evaluation.gradient)
        assert a.evaluation.loss == b.evaluation.loss


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=repr)
def test_it_lowers_the_loss_and_counts_all_work(optimiser, objective):
    steps = list(itertools.islice(optimiser.minimise(objective, solver_for(optimiser)), 30))
    assert [step.number for step in steps] == list(range(len(steps)))
    assert len(steps) == 30 or steps[-1].why
    assert not any(step.why for step in steps[:-1])
    assert steps[-1].evaluation.loss < 0.5 * steps[0].evaluation.loss
    assert all(b.work - a.work >= b.evaluation.work > 0 for a, b in itertools.pairwise(steps) if not b.why)
    assert all(b.trials > a.trials for a, b in itertools.pairwise(steps) if not b.why)


def test_an_evaluation_is_the_gradient_that_autograd_leaves(objective):
    evaluator = Evaluator(objective)
    theta = torch.full((5,), 0.3, dtype=torch.float64)
    got = evaluator.evaluate(theta, EXACT)
    assert objective.parameters[0].grad is None
    solution = jfb(200)(objective.map(), objective.start)
    exact = EXACT(objective.map(), solution.x.detach(), objective.loss)
    objective.loss(exact.x).backward()
    assert torch.allclose(objective.parameters[0].grad, got.gradient, rtol=1e-9)
    assert got.work == evaluator.work > 0


def test_the_next_solve_starts_at_the_last_solution(objective):
    evaluator = Evaluator(objective)
    theta = objective.theta()
    cold = evaluator.evaluate(theta, EXACT)
    warm = evaluator.evaluate(theta, EXACT)
    assert warm.work < cold.work


def test_a_vector_of_another_length_is_refused(objective):
    with pytest.raises(ValueError, match="θ has 5 entries"):
        objective.move(torch.zeros(4, dtype=torch.float64))


def test_a_trial_costs_its_products_only_once_it_is_finished(objective):
    evaluator = Evaluator(objective)
    trial = evaluator.begin(objective.theta(), jfb(5))
    assert evaluator.work == trial.work == 6
    assert trial.finish().work == evaluator.work == 7


def test_a_finer_solver_goes_on_where_a_coarse_one_ends(objective):
    start = objective.theta()
    *_, coarse = LBFGS(0.5).minimise(objective, jfb(1))
    objective.move(start)
    steps = list(itertools.islice(LBFGS(0.5, finer=(EXACT,)).minimise(objective, jfb(1)), 40))
    assert steps[-1].evaluation.loss < 0.1 * coarse.evaluation.loss
