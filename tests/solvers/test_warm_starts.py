"""Each sample of a model starts at its own last visit: fewer products, the same gradient, and nothing stale."""

from __future__ import annotations

import copy
import io
import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from solvers import GMRES, Anderson, GradientMonitor, Reconstructor, Solver, WarmStarts, deq, implicit, jfb
from solvers.conformance import relative_error
from tests.helpers.known_maps import matrix
from tests.helpers.tensors import F64, draw

SIZE = 40
SOLVER = implicit(Anderson(1e-11), GMRES(1e-11))


class Iteration(nn.Module):
    """``x -> a tanh(x) M + b y`` with ``‖M‖ < 1`` and gains a and b to learn."""

    def __init__(self) -> None:
        super().__init__()
        self.gains = nn.Parameter(torch.tensor([0.9, 0.8], dtype=F64))
        self.M = matrix(SIZE, 0.95, 0)

    def forward(self, x: Tensor, y: Tensor, physics: object) -> Tensor:
        return self.gains[0] * x.tanh() @ self.M + self.gains[1] * y


def model(solver=SOLVER, warm=None):
    """A model, and what its solver is given and returns."""
    seen = SimpleNamespace(x0=[], u0=[], solutions=[])

    class Seen(Solver):
        __slots__ = ()

        def __call__(self, T, x0, loss=None, /, u0=None):
            seen.x0.append(x0)
            seen.u0.append(u0)
            seen.solutions.append(solver(T, x0, loss, u0=u0))
            return seen.solutions[-1]

    watched = Seen(solver.label, solver.forward_solver, solver.backward_mode)
    return Reconstructor(Iteration(), watched, warm=WarmStarts() if warm is None else warm), seen


Y = draw(3, 6, SIZE)
PHYSICS = SimpleNamespace(A_adjoint=lambda y: y)
TRUTH = draw(4, 6, SIZE)


def visit(m, index, noise=0.0, seed=9):
    """One backward pass on some samples; returns the gradient."""
    rows = torch.tensor(index)
    y = Y[rows] + noise * draw(seed, 6, SIZE)[rows]
    m.zero_grad()
    (m(y, PHYSICS, index=rows) - TRUTH[rows]).square().sum().backward()
    return m.operator.gains.grad.clone()


def test_a_second_visit_takes_less_and_has_the_same_gradient():
    m, seen = model()
    cold = [visit(m, part) for part in ([0, 1, 2], [3, 4, 5])]
    warm = [visit(m, part) for part in ([0, 1, 2], [3, 4, 5])]
    for c, w in zip(cold, warm, strict=True):
        assert relative_error(w, c) < 1e-8
    first, second = seen.solutions[0], seen.solutions[2]
    assert second.work <= 6 < first.work / 4
    assert [u is None for u in seen.u0] == [True, True, False, False]


@pytest.mark.parametrize("noise", [1e-3, 1e-1])
def test_other_noise_on_the_same_sample_is_a_valid_start(noise):
    m, seen = model()
    visit(m, [0, 1, 2])
    warm = visit(m, [0, 1, 2], noise)
    fresh, alone = model()
    cold = visit(fresh, [0, 1, 2], noise)
    assert relative_error(warm, cold) < 1e-8
    assert seen.solutions[-1].work < alone.solutions[-1].work


def test_samples_start_at_their_own_visits_in_any_batch():
    m, seen = model()
    visit(m, [0, 1, 2])
    visit(m, [4, 2])
    assert torch.equal(seen.x0[1][0], Y[4])
    assert torch.equal(seen.x0[1][1], seen.solutions[0].x[2])
    assert torch.equal(seen.u0[1][0], torch.zeros(SIZE, dtype=F64))
    assert torch.equal(seen.u0[1][1], seen.solutions[0].adjoints[-1][2])
    assert sorted(m.warm.states) == sorted(m.warm.adjoints) == [0, 1, 2, 4]
    assert len(m.warm) == 4


def test_only_a_backward_pass_in_training_mode_keeps_or_reads_states():
    m, seen = model()
    visit(m, [0, 1])
    kept = copy.deepcopy(m.warm.state_dict())
    index = torch.tensor([0, 1])
    m.eval()
    visit(m, [0, 1], 0.5)
    m.train()
    with torch.no_grad():
        m(Y[:2], PHYSICS, index=index)
    for x0, u0, y in zip(seen.x0[1:], seen.u0[1:], (Y[:2] + 0.5 * draw(9, 6, SIZE)[:2], Y[:2]), strict=True):
        assert torch.equal(x0, y)
        assert u0 is None
    m(2 * Y[:2], PHYSICS, index=index)  # without a backward pass
    for name, states in m.warm.state_dict().items():
        for i, state in states.items():
            assert torch.equal(state, kept[name][i])


def test_an_evaluation_is_the_same_with_and_without_warm_starts():
    m, _ = model(jfb(3))
    visit(m, [0, 1])
    m.eval()
    assert torch.equal(m(Y[:2], PHYSICS), Reconstructor(m.operator, jfb(3))(Y[:2], PHYSICS))


def test_estimators_without_an_adjoint_keep_states_alone():
    m, seen = model(jfb(3))
    visit(m, [0])
    visit(m, [0])
    assert torch.equal(seen.x0[1], seen.solutions[0].x)
    assert seen.u0 == [None, None]
    assert not m.warm.adjoints


def test_a_monitor_is_started_at_the_states():
    log, starts = [], []

    def watched(T, x0, loss=None, /):
        starts.append(x0)
        return SOLVER(T, x0, loss)

    monitor = GradientMonitor(watched, lambda step, found: log.append(found), smoothness=2.0, every=1)
    m = Reconstructor(Iteration(), monitor, warm=WarmStarts())
    visit(m, [0, 1])
    visit(m, [0, 1])
    assert torch.equal(starts[0], Y[:2])
    torch.testing.assert_close(starts[1], torch.stack([m.warm.states[i] for i in (0, 1)]))
    assert len(log) == 2


class Coefficients(Iteration):
    """The same on states of twice the size."""

    def start(self, image: Tensor) -> Tensor:
        return 2 * image

    def image(self, state: Tensor) -> Tensor:
        return state / 2


def test_an_operator_on_states_starts_at_its_states():
    m = Reconstructor(Coefficients(), SOLVER, warm=WarmStarts())
    cold = visit(m, [0, 1])
    state = m.warm.states[0]
    torch.testing.assert_close(state, m.operator(state[None], Y[:1], None)[0])
    assert relative_error(visit(m, [0, 1]), cold) < 1e-8


def test_the_state_dict_of_a_model_does_not_grow_and_a_checkpoint_goes_on_to_the_bit():
    m, _ = model()
    visit(m, [0, 1, 2])
    assert m.state_dict().keys() == {"operator.gains"}
    file = io.BytesIO()
    torch.save({"model": m.state_dict(), "warm": m.warm.state_dict()}, file)
    wanted = visit(m, [1, 2], 0.1)
    again, _ = model()
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    again.load_state_dict(saved["model"])
    again.warm.load_state_dict(saved["warm"])
    assert torch.equal(visit(again, [1, 2], 0.1), wanted)


def test_states_are_copies_of_single_samples():
    m, seen = model()
    visit(m, [0, 1, 2])
    for state in (*m.warm.states.values(), *m.warm.adjoints.values()):
        assert state.untyped_storage().nbytes() == SIZE * 8
        assert not state.requires_grad
    with torch.no_grad():
        seen.solutions[0].x.zero_()
    assert all(bool(state.any()) for state in m.warm.states.values())


@pytest.mark.parametrize("device", ["cpu", None])
def test_states_are_kept_where_it_is_said(device):
    m, _ = model(warm=WarmStarts(device))
    visit(m, [0])
    assert m.warm.states[0].device.type == "cpu"
    on = WarmStarts("meta")
    on.keep([0], Y[:1])
    assert on.states[0].device.type == "meta"


def test_a_sample_of_another_shape_or_dtype_starts_cold_or_converted():
    warm = WarmStarts()
    warm.keep([0, 1], Y[:2], [TRUTH[:2]])
    x0, u0 = warm.starts([0, 7], Y[2:4, :8])
    assert torch.equal(x0, Y[2:4, :8])
    assert u0 is not None
    assert not u0.any()
    x0, u0 = warm.starts([0, 7], Y[2:4].float())
    assert torch.equal(x0[0], Y[0].float())
    assert u0 is not None
    assert u0.dtype == torch.float32


@pytest.mark.misuse(
    "a training solve with WarmStarts that ends in nan", "right: that sample starts cold next time"
)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_sample_that_is_not_finite_is_forgotten(bad):
    warm = WarmStarts()
    warm.keep([0, 1], Y[:2], [Y[:2]])
    broken = Y[:2].clone()
    broken[1, 3] = bad
    warm.keep([0, 1], broken, [Y[:2]])
    assert list(warm.states) == list(warm.adjoints) == [0]


def handed(index):
    return SimpleNamespace(A_adjoint=lambda y: y, sample_index=index)


def test_numbers_come_with_the_physics_and_serve_one_solve():
    """A loss that calls the model again, on other measurements, neither reads nor changes the states."""
    m, seen = model()
    for _ in range(2):
        physics = handed(torch.tensor([5, 3]))
        x = m(Y[:2], physics)
        other = m(7 * Y[2:4], physics)
        (x.square().sum() + other.square().sum()).backward()
    assert torch.equal(seen.x0[2], seen.solutions[0].x)
    for k in (1, 3):
        assert torch.equal(seen.x0[k], 7 * Y[2:4])
    assert torch.equal(m.warm.states[5], seen.solutions[2].x[0])


@pytest.mark.misuse(
    "WarmStarts without the numbers of the samples", "refused: must know which samples a batch has"
)
def test_a_batch_without_numbers_is_refused_in_a_line():
    m, _ = model()
    with pytest.raises(
        ValueError, match="must know which samples a batch has: call the model with index=…, or"
    ) as no:
        m(Y, PHYSICS)
    assert "\n" not in str(no.value)
    with pytest.warns(UserWarning, match="physics.sample_index is None, so this batch starts cold"):
        m(Y, handed(None))
    with pytest.raises(ValueError, match="must be a Tensor of integers, not a list"):
        m(Y, handed([0]))
    for index, words in (
        (torch.arange(2), r"a batch of 6 must have 6 integers, not the shape \(2,\)"),
        (torch.rand(6), "torch.float32"),
        (torch.ones(6, dtype=torch.bool), "torch.bool"),
    ):
        with pytest.raises(ValueError, match=words):
            m(Y, PHYSICS, index=index)
    with pytest.raises(TypeError, match="warm must be WarmStarts"):
        Reconstructor(Iteration(), deq(1e-6), warm=True)  # pyright: ignore


def test_numbers_without_warm_starts_are_ignored():
    plain = Reconstructor(Iteration(), SOLVER)
    assert torch.equal(plain(Y, PHYSICS, index=torch.arange(6)), plain(Y, handed(torch.arange(6))))
