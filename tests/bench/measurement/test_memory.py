"""Bytes on the tape, counted by hand and by the harness."""

from __future__ import annotations

import gc

import pytest
import torch

from bench.config.matrix import parse_solver
from bench.measurement import memory
from bench.measurement.memory import largest_allocated, peak_bytes, saved_bytes
from bench.measurement.training import training_step
from tests.helpers.problems import small_problem

CPU = torch.device("cpu")
N = 1000


def test_a_tape_counted_by_hand():
    x = torch.ones(N, dtype=torch.float64, requires_grad=True)
    w = torch.ones(N, dtype=torch.float64, requires_grad=True)
    with saved_bytes([x, w]) as saved:
        y = (x * w).exp()  # the product saves x and w, which are known; exp saves its result
        z = y * y  # saves y, the same storage
    assert saved.count == N * 8
    with saved_bytes([]) as saved:
        z = (x * w).exp()
    assert saved.count == 3 * N * 8
    assert z.shape == (N,)


def test_a_view_counts_once_and_whole():
    x = torch.ones(N, 2, dtype=torch.float64, requires_grad=True)
    with saved_bytes([]) as saved:
        (x[:, 0].square() + x[:, 1].square()).sum()
    assert saved.count == 2 * N * 8


def test_the_peak_follows_births_and_deaths():
    with peak_bytes(CPU) as peak:
        a = torch.ones(N, dtype=torch.float64)
        b = a + 1
        del a
        c = b + 1
        del b
        d = c + 1
    assert peak.count == 2 * N * 8
    assert d.numel() == N


def test_views_and_writes_in_place_are_no_births():
    with peak_bytes(CPU) as peak:
        a = torch.ones(N, dtype=torch.float64)
        a.view(10, 100)[0].add_(1)
        a.mul_(2)
    assert peak.count == N * 8


class Allocator:
    """The counters of CUDA's allocator, which rounds to blocks of 512 bytes."""

    def __init__(self):
        self.now, self.peak = {"allocated": 0, "requested": 0}, {"allocated": 0, "requested": 0}

    def take(self, size, sign=1):
        self.now["requested"] += sign * size
        self.now["allocated"] += sign * -(-size // 512) * 512
        self.peak = {kind: max(self.peak[kind], self.now[kind]) for kind in self.now}

    def reset(self, device):
        self.peak = dict(self.now)

    def stats(self, device):
        current = {f"{kind}_bytes.all.current": size for kind, size in self.now.items()}
        return current | {f"{kind}_bytes.all.peak": size for kind, size in self.peak.items()}


@pytest.fixture
def cuda(monkeypatch):
    found = Allocator()
    monkeypatch.setattr(memory, "_largest", {})
    for name, stand_in in (
        ("synchronize", lambda device: None),
        ("current_device", lambda: 0),
        ("reset_peak_memory_stats", found.reset),
        ("memory_stats", found.stats),
        ("max_memory_allocated", lambda device: found.peak["allocated"]),
    ):
        monkeypatch.setattr(torch.cuda, name, stand_in)
    return found


def test_the_peak_of_a_gpu_is_told_in_blocks_and_as_requested(cuda):
    cuda.take(100)
    with peak_bytes(torch.device("cuda")) as peak:
        cuda.take(700)
        cuda.take(700, -1)
        cuda.take(10)
    assert (peak.count, peak.requested) == (1024, 700)
    with peak_bytes(CPU) as peak:
        torch.ones(N)
    assert (peak.count, peak.requested) == (4 * N, None)


def test_the_largest_allocation_of_a_process_outlives_the_reset_of_a_peak(cuda):
    cuda.take(5000)
    cuda.take(5000, -1)
    for _ in range(2):
        with peak_bytes(torch.device("cuda", 0)):
            cuda.take(512)
    assert cuda.peak["allocated"] == 1024
    assert largest_allocated(torch.device("cuda")) == 5120


@pytest.mark.parametrize("text", ["deblurring(huber)", "inpainting(l1)"])
def test_the_tape_is_affine_in_the_depth_and_blind_to_restarts(text):
    """THEORY C23: restarted JFB is affine in K and independent of R; the one-layer series is independent of K."""
    problem = small_problem(text)
    known = [*problem.operator.parameters(), *problem.operator.buffers(), *problem.physics.buffers()]
    batch = problem.train

    def tape(solver):
        with saved_bytes([*known, batch.truth, batch.y, batch.x0]) as saved:
            training_step(parse_solver(solver), problem, batch)
        return saved.count

    two, three, nine = (tape(f"restarted_jfb({K}, 3)") for K in (2, 3, 9))
    assert nine == two + 7 * (three - two)
    assert three > two
    assert tape("restarted_jfb(3, 11)") == three
    assert tape("unrolled(9)") == nine
    assert tape("neumann(30, 50)") == tape("neumann(30, 2)")
    assert tape("neumann(30, 50)") < two
    assert tape("implicit(anderson(1e-3), gmres(1e-3))") == tape("neumann(1, 1)")


def test_one_layer_takes_a_fiftieth_of_the_tape_of_a_hundred():
    problem = small_problem("deblurring(huber)", size=64, dtype=torch.float32)
    known = [*problem.operator.parameters(), *problem.operator.buffers(), *problem.physics.buffers()]

    def tape(solver):
        with saved_bytes([*known, problem.train.truth, problem.train.y, problem.train.x0]) as saved:
            training_step(parse_solver(solver), problem, problem.train)
        return saved.count

    assert 50 * tape("neumann(100, 100)") <= tape("unrolled(100)")
    assert 4 * tape("checkpointed(100)") <= tape("unrolled(100)")


def test_the_peak_of_a_step_holds_its_tape():
    problem = small_problem()
    solver = parse_solver("unrolled(8)")
    with saved_bytes([*problem.operator.buffers(), *problem.physics.buffers()]) as saved:
        training_step(solver, problem, problem.train)
    with peak_bytes(CPU) as peak:
        training_step(solver, problem, problem.train)
    assert saved.count < peak.count < 1.5 * saved.count


HOLDERS = (
    "certified(0.01)",
    "implicit(anderson(0.0001, shared=True), shared(20))",
    "deepinv_anderson(20, 5)",
    "deepinv_deq(20, 10)",
    "torchdeq_ift(20, 10)",
    "unrolled(5)",
    "checkpointed(9)",
    "jfb(5)",
    "deq(0.0001)",
)


@pytest.mark.parametrize("text", HOLDERS)
@pytest.mark.misuse(
    "a solver that keeps more for the way back than autograd's saved tensors",
    "right: the tape column counts every byte that is alive between the passes",
)
def test_the_tape_holds_all_that_is_alive_between_the_passes(text):
    """Counted apart: tensors that the garbage collector knows, and those that autograd saved, by their storages."""
    problem = small_problem("deblurring(huber)", 2)
    batch, solver = problem.train, parse_solver(text)
    known = [*problem.operator.parameters(), *problem.operator.buffers(), *problem.physics.buffers()]
    known += [batch.truth, batch.y, batch.x0]
    with saved_bytes(known) as saved:
        training_step(solver, problem, batch, tape=saved)
    problem.operator.zero_grad(set_to_none=True)
    T, start, criterion = problem.bind(batch), problem.start(batch), problem.criterion(batch)
    gc.collect()
    before = living()
    apart = {t.untyped_storage().data_ptr() for t in before}
    solution = solver(T, start, criterion)
    gc.collect()
    apart.add(solution.x.untyped_storage().data_ptr())
    storages = [t.untyped_storage() for t in living()]
    alive = {s.data_ptr(): s.nbytes() for s in storages if s.data_ptr() not in apart}
    assert saved.count >= sum(alive.values())
    if text.startswith(("certified", "implicit", "deepinv_anderson")):
        assert sum(alive.values()) > 2 * start.untyped_storage().nbytes(), "nothing of its own was seen"


def living():
    return [t for t in gc.get_objects() if type(t) is torch.Tensor and t.layout is torch.strided]


def test_objects_of_a_solver_count_and_its_value_does_not():
    """With saved tensors alone, the vectors of a shared inverse took no memory: 16 of a state's size."""
    problem = small_problem()
    state = problem.start(problem.train).untyped_storage().nbytes()

    def tape(solver, look):
        with saved_bytes([*problem.operator.buffers(), *problem.physics.buffers()]) as saved:
            training_step(parse_solver(solver), problem, problem.train, tape=saved if look else None)
        return saved.count / state

    shared = "implicit(anderson(0.0001, shared=True), shared(20))"
    assert tape(shared, True) > tape(shared, False) + 10
    assert tape("certified(0.01)", True) > tape("certified(0.01)", False)
    assert tape("unrolled(9)", True) == tape("unrolled(9)", False)
    assert tape("deq(0.0001)", True) == tape("deq(0.0001)", False)
