"""Training: checkpoints that a killed run goes on from, clipping, and rates."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch

from bench.config.matrix import Cell, parse_solver, parse_task
from bench.config.profile_schema import TrainingTable
from bench.measurement import training
from bench.measurement.training import TrainingStopped, optimiser_for, parameters, train
from solvers import ESTIMATORS
from tests.helpers.problems import learned_values, small_problem

CELL = Cell(parse_task("deblurring(huber)"), parse_solver("unrolled(3)"), 0)


def table(**changes):
    given = {"steps": 7, "learning_rate": 0.1, "batch": 1, "checkpoint": 2}
    return TrainingTable(**(given | changes))


def problem(task=CELL.task):
    return small_problem(task, 3)


@contextmanager
def killed_in_step(number, monkeypatch):
    """A training that is begun in here is stopped in that step, and must be."""
    step, calls = training.training_step, []

    def killed(*arguments):
        calls.append(1)
        if len(calls) == number:
            raise KeyboardInterrupt
        return step(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(training, "training_step", killed)
        with pytest.raises(KeyboardInterrupt):
            yield


def test_a_run_that_is_killed_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch):
    whole, file = problem(), tmp_path / "state.pt"
    losses = train(CELL, whole, table(), None).losses
    broken = problem()
    with killed_in_step(6, monkeypatch):
        train(CELL, broken, table(), file)
    assert file.is_file()
    again = problem()
    assert train(CELL, again, table(), file).losses == losses
    torch.testing.assert_close(learned_values(again), learned_values(whole), rtol=0, atol=0)


def test_warm_starts_and_looks_survive_a_killed_run(tmp_path, monkeypatch):
    """Bit for bit: the last states and adjoints of crops, the work and the looks are in the checkpoint."""
    warm, cell = table(warm_start=True, eval_every=2, steps=8), Cell(CELL.task, parse_solver("deq(1e-04)"), 0)
    whole = problem()
    wanted = train(cell, whole, warm, None, lambda: float(learned_values(whole).sum()))
    broken, file = problem(), tmp_path / "state.pt"
    with killed_in_step(6, monkeypatch):
        train(cell, broken, warm, file, lambda: float(learned_values(broken).sum()))
    again = problem()
    found = train(cell, again, warm, file, lambda: float(learned_values(again).sum()))
    assert found.values() == wanted.values()
    assert found.work == wanted.work
    for kept, expected in (
        (found.warm.states, wanted.warm.states),
        (found.warm.adjoints, wanted.warm.adjoints),
    ):
        assert sorted(kept) == [0, 1, 2]
        assert all(torch.equal(kept[i], state) for i, state in expected.items())
    assert torch.equal(learned_values(again), learned_values(whole))


def residuals_and_work(solver, **changes):
    """Of each step: the residual of where it ended, and how often the map was applied."""
    seen, step = [], training.training_step

    def watched(solver, found, batch, *start):
        solution, value = step(solver, found, batch, *start)
        with torch.no_grad():
            x = solution.x.detach()
            seen.append((float((found.bind(batch)(x) - x).norm() / x.norm()), solution.applications))
        return solution, value

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(training, "training_step", watched)
        found = problem()
        train(
            Cell(CELL.task, parse_solver(solver), 0),
            found,
            table(steps=9, learning_rate=0.02, **changes),
            None,
        )
    return seen


def test_a_warm_start_gains_from_the_second_epoch_on():
    """Three crops, one a step: the first three steps are the same, and each later one ends closer, or sooner."""
    cold, warm = (residuals_and_work("unrolled(5)", warm_start=w) for w in (False, True))
    assert cold[:3] == warm[:3]
    assert all(w[0] < 0.7 * c[0] for c, w in zip(cold[3:], warm[3:], strict=True))
    cold, warm = (residuals_and_work("deq(1e-04)", warm_start=w) for w in (False, True))
    assert cold[:3] == warm[:3]
    assert all(w[1] < c[1] for c, w in zip(cold[3:], warm[3:], strict=True))


def products(u0_too, epochs=4):
    """VJPs of each step of a warm training of three crops, one a step, with warm adjoints or without."""
    seen, step = [], training.training_step

    def watched(solver, found, batch, start, u0):
        solution, value = step(solver, found, batch, start, u0 if u0_too else None)
        seen.append(solution.vjps)
        return solution, value

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(training, "training_step", watched)
        cell = Cell(CELL.task, parse_solver("implicit(anderson(1e-05), gmres(1e-04))"), 0)
        found = problem()
        train(cell, found, table(steps=3 * epochs, learning_rate=0.005, warm_start=True), None)
    return seen, learned_values(found)


def test_adjoints_of_the_last_visit_save_products_and_change_no_result():
    (without, end), (warm, same) = products(False), products(True)
    assert without[:3] == warm[:3]
    assert sum(warm[3:]) < 0.8 * sum(without[3:])
    torch.testing.assert_close(same, end, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("solver", ["deepinv_anderson(20, 5)", "unrolled(3)", "certified(0.1)"])
def test_solvers_without_a_place_for_an_adjoint_train_from_warm_states(solver):
    history = train(
        Cell(CELL.task, parse_solver(solver), 0), problem(), table(steps=6, warm_start=True), None
    )
    assert sorted(history.warm.states) == [0, 1, 2]
    assert not history.warm.adjoints


def test_a_crop_starts_where_it_ended_itself_and_not_where_another_did():
    found, warm = problem(), table(steps=6, warm_start=True, batch=2)
    starts, step = [], training.training_step

    def watched(solver, prob, batch, start, u0):
        starts.append((batch, start))
        assert u0 is None  # no estimator of a fixed depth has an adjoint
        return step(solver, prob, batch, start, u0)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(training, "training_step", watched)
        history = train(CELL, found, warm, None)
    truths = found.train.truth
    visited: set[int] = set()
    for batch, start in starts:
        for truth, cold, state in zip(batch.truth, found.start(batch), start, strict=True):
            (i,) = [i for i in range(len(truths)) if torch.equal(truths[i], truth)]
            assert torch.equal(cold, state) == (i not in visited)
            # Closer to its own picture than to any other.
            distances = [float((state - other).norm()) for other in truths]
            assert distances.index(min(distances)) == i
            visited.add(i)
    assert visited == set(history.warm.states)
    assert not any(state.requires_grad for state in history.warm.states.values())


def test_looks_are_at_their_steps_and_at_the_end():
    found, scores = problem(), iter(range(100))
    history = train(CELL, found, table(steps=7, eval_every=3), None, lambda: float(next(scores)))
    assert history.values() == {
        "losses": history.losses,
        "look_steps": [3, 6, 7],
        "look_psnr": [0.0, 1.0, 2.0],
        # Three applications and three products a step.
        "look_work": [18, 36, 42],
    }
    assert train(CELL, problem(), table(eval_every=7), None, lambda: 1.0).look_steps == [7]
    assert set(train(CELL, problem(), table(), None, lambda: 1.0).values()) == {"losses"}


def test_a_damaged_checkpoint_says_so(tmp_path):
    file = tmp_path / "state.pt"
    file.write_bytes(b"no checkpoint")
    with pytest.raises(RuntimeError, match=r"state\.pt is damaged: remove it"):
        train(CELL, problem(), table(), file)


def test_without_a_place_or_an_interval_nothing_is_stored(tmp_path):
    train(CELL, problem(), table(checkpoint=0), tmp_path / "state.pt")
    assert not list(tmp_path.iterdir())


def test_clipping_bounds_the_gradient_that_the_optimiser_sees(monkeypatch):
    seen = []
    step = torch.optim.Adam.step

    def watched(self, *arguments):
        grads = [p.grad.flatten() for group in self.param_groups for p in group["params"]]
        seen.append(float(torch.linalg.vector_norm(torch.cat(grads))))
        return step(self, *arguments)

    monkeypatch.setattr(torch.optim.Adam, "step", watched)
    train(CELL, problem(), table(), None)
    free = list(seen)
    seen.clear()
    bound = sorted(free)[len(free) // 2]
    train(CELL, problem(), table(clip=bound), None)
    assert max(free) > bound * 1.01
    assert max(seen) <= bound * (1 + 1e-6)
    assert seen[-1] > 0


def test_a_gradient_that_is_not_finite_ends_the_training(monkeypatch):
    def poisoned(solver, found, batch, *starts):
        solution, value = step(solver, found, batch, *starts)
        parameters(found)[0].grad[0] = torch.nan
        return solution, value

    step = training.training_step
    monkeypatch.setattr(training, "training_step", poisoned)
    with pytest.raises(TrainingStopped, match="the gradient of a training step is not finite"):
        train(CELL, problem(), table(), None)


def test_networks_learn_at_their_own_rate():
    def groups(text):
        found = problem(parse_task(text))
        optimiser = optimiser_for(found, table(learning_rate=0.3, network_learning_rate=1e-5))
        return {group["lr"]: sum(p.numel() for p in group["params"]) for group in optimiser.param_groups}

    assert groups("deblurring(huber)") == {0.3: 9}
    assert groups("deblurring(drunet)") == {0.3: 2}
    both = groups("deblurring(drunet(learn_weights=True))")
    assert both[0.3] == 2
    assert both[1e-5] > 100_000


@pytest.mark.filterwarnings("ignore::solvers.StagnationWarning")  # 1e-10 is asked for, whatever can be had
@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_every_estimator_trains_all_the_weights_of_a_denoiser(name):
    """One step through each solver moves every weight of the network, and log τ and log σ."""
    cell = Cell(parse_task("inpainting(drunet(learn_weights=True), lost=0.1)"), ESTIMATORS[name].example, 0)
    found = small_problem(cell.task, dtype=torch.float32)
    before = [p.detach().clone() for p in parameters(found)]
    train(cell, found, table(steps=1, learning_rate=0.01, clip=1.0), None)
    moved = [bool((p != q).any()) for p, q in zip(parameters(found), before, strict=True)]
    names = [n for n, p in found.operator.named_parameters() if p.requires_grad]
    assert all(moved), [n for n, m in zip(names, moved, strict=True) if not m]
    assert sum(p.numel() for p in parameters(found)) > 700_000
