"""docs/certificates.md does what it says: its examples run, in deepinv's Trainer too, and its certificates are true."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import torch
from deepinv import Trainer
from deepinv.loss import SupLoss
from deepinv.loss.metric import PSNR
from torch.utils.data import DataLoader, Dataset

from bench.config.matrix import parse_solver
from bench.measurement.hypergradient import reference_gradient
from bench.measurement.training import parameters
from solvers import GradientMonitor
from tests.helpers.problems import small_problem

DOCS = Path(__file__).parents[3] / "docs" / "certificates.md"


@pytest.fixture(scope="module")
def page():
    """The names that the examples of the page leave behind, run one after the other."""
    names: dict = {"__name__": "page"}
    blocks = re.findall(r"^```python\n(.*?)^```", DOCS.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 6
    for block in blocks:
        exec(compile(block, str(DOCS), "exec"), names)
    return names


class Pairs(Dataset):
    """A batch, in the form that deepinv asks for."""

    def __init__(self, batch):
        self.batch = batch

    def __len__(self):
        return len(self.batch.y)

    def __getitem__(self, i):
        return {"x": self.batch.truth[i], "y": self.batch.y[i]}


def train(given, trainer, model, metrics, epochs=2):
    trainer(
        model=model,
        physics=given.physics,
        optimizer=torch.optim.Adam(model.parameters(), lr=0.05),
        train_dataloader=DataLoader(Pairs(given.train), batch_size=2),
        eval_dataloader=DataLoader(Pairs(given.test)),
        epochs=epochs,
        losses=SupLoss(),
        metrics=metrics,
        device="cpu",
        save_path=None,
        verbose=False,
        show_progress_bar=False,
        non_blocking_transfers=False,
    ).train()


def test_the_worked_example_learns_and_its_certificates_are_rigorous_and_tight(page, capsys):
    log = page["log"]
    assert [step for step, _ in log] == [0, 20, 40]
    for _, found in log:
        assert found.rigorous
        assert found.relative < 0.01
    assert page["bound"].least > 0  # of the audit, at the end
    assert page["bound"].rigorous


def test_the_metric_of_the_page_has_at_most_fifteen_lines():
    (block,) = re.findall(
        r"^class GradientError.*?(?=^\S)", DOCS.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert len(block.strip().splitlines()) <= 15


def test_a_training_in_deepinvs_trainer_is_watched_and_not_disturbed(page):
    solver, outcomes = parse_solver("implicit(anderson(1e-9), gmres(1e-7))"), []
    for watched in (True, False):
        given, log = small_problem("denoising(huber)", 4), []
        model, error = page["monitored"](
            given.operator, solver, lambda step, c, log=log: log.append((step, c)), 2
        )
        shown = []

        class Shown(Trainer):
            def compute_metrics(self, *arguments, shown=shown, **named):
                x, logs = super().compute_metrics(*arguments, **named)
                shown.append(dict(logs))
                return x, logs

        if watched:
            train(given, Shown, model, [PSNR(), error])
            assert [step for step, _ in log] == [0, 2]  # two batches in each of two epochs
            for _, found in log:
                assert found.rigorous, found.why
                assert 0 < found.relative < 0.01
            assert shown[0]["GradientError"] == pytest.approx(log[0][1].relative)
            assert len(shown) == 6  # and the test image, after each epoch
        else:
            model.solver = solver
            train(given, Trainer, model, [PSNR()])
        outcomes.append(torch.cat([p.detach().flatten() for p in given.operator.parameters()]))
    assert torch.equal(*outcomes)


def test_a_crude_gradient_is_audited_in_deepinvs_trainer(page):
    given, log = small_problem("denoising(huber)", 4), []
    exact = []

    @torch.enable_grad()
    def note(step, found):
        got = torch.cat([p.grad.flatten() for p in parameters(given)])
        batch = given.train.select(torch.arange(2) if step == 0 else torch.arange(2, 4))
        T, start = given.operator.bind(batch.y, given.physics), given.physics.A_adjoint(batch.y)
        truth = reference_gradient(
            T, parameters(given), given.operator.start(start), lambda x: (x - batch.truth).square().mean()
        )
        exact.append(float((got - truth.gradient).norm()))
        log.append(found)

    monitor = GradientMonitor(parse_solver("jfb(10)"), note, every=1, audit=True)
    train(given, page["TruthfulTrainer"], page["with_loss"](given.operator, monitor), [PSNR()], epochs=1)
    assert len(log) == 2
    for found, error in zip(log, exact, strict=True):
        assert found.rigorous
        assert 0 < found.least <= error <= found.error <= 3.01 * found.least


@pytest.mark.parametrize(
    ("text", "audit"),
    [
        ("deepinv_deq(20, 20)", True),
        ("torchdeq_ift", True),
        ("torchdeq_phantom(10, 4)", True),
        ("torchdeq_ift", False),
        ("torchdeq_ift(hook=True)", True),
        ("torchdeq_anderson", False),
        ("torchdeq_phantom(10, 4)", False),
    ],
)
def test_the_gradients_of_other_libraries_are_certified(text, audit):
    given = small_problem("deblurring(huber)", 4)
    batch, log = given.train.select(torch.arange(2)), []
    monitor = GradientMonitor(parse_solver(text), lambda step, found: log.append(found), every=1, audit=audit)
    T, criterion = given.bind(batch), given.criterion(batch)
    criterion(monitor(T, given.start(batch), criterion).x).backward()
    got = torch.cat([p.grad.flatten() for p in parameters(given)])
    truth = reference_gradient(T, parameters(given), given.start(batch), criterion)
    error = float((got - truth.gradient).norm())
    ((found),) = log
    assert found.rigorous, found.why
    assert found.least <= error <= found.error < math.inf
    if audit:
        assert found.error <= 3.01 * found.least


def test_the_misleading_instance_of_the_page_misleads_estimates_alone(page):
    promised, true = page["claims"]["Creeping"]
    assert promised < 1e-5
    assert true > 0.5
    promised, true = page["claims"]["Known"]
    assert true <= promised <= 1e-2
