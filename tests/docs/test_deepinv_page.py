"""docs/deepinv.md in short: deepinv's own Trainer trains, and warm starts save products at the same gradients."""

from __future__ import annotations

import copy
import sys

import deepinv
import pytest
import skimage
import torch
from skimage.io import imsave
from torch.optim.optimizer import register_optimizer_step_pre_hook

import solvers
from bench.utils.provenance import ROOT
from tests.docs.pages import snippets

OPERATOR, TRAINING, FURTHER, WARM, OPTIM = (s.code for s in snippets(ROOT / "docs" / "deepinv.md"))
EPOCHS = 3
STEPS = 2
"""Batches in an epoch."""


class ShortTrainer(deepinv.Trainer):
    """deepinv's, with three epochs at most, and without files and bars."""

    def __init__(self, *arguments, epochs, **settings):
        quiet = {"save_path": None, "verbose": False, "show_progress_bar": False}
        cpu = {"device": "cpu", "non_blocking_transfers": False}
        super().__init__(*arguments, epochs=min(epochs, EPOCHS), **settings, **quiet, **cpu)
        MADE.append(self)


MADE: list[deepinv.Trainer] = []


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """What the blocks up to the warm one leave behind; ``deepinv`` and ``eqgrad`` stay as the page needs them."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "photographs").mkdir()
    for name in ("camera", "astronaut", "coffee", "chelsea"):
        imsave(folder / "photographs" / f"{name}.png", getattr(skimage.data, name)())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setitem(sys.modules, "eqgrad", solvers)
        patch.setattr(deepinv, "Trainer", ShortTrainer)
        torch.manual_seed(0)
        names = {"__name__": "page"}
        for block in (OPERATOR, TRAINING, FURTHER):
            exec(compile(block, "docs/deepinv.md", "exec"), names)
        yield names


def losses(trainer):
    (history,) = trainer.loss_history.values()
    return history


def test_the_trainer_trains_and_further_solvers_run(page):
    first, further = losses(MADE[0]), losses(MADE[1])
    assert len(first) == EPOCHS
    assert first[-1] < 0.9 * first[0]
    assert len(further) == 1
    assert page["reconstruction"].shape == (1, 1, 64, 64)


SOLVER = "eqgrad.implicit(eqgrad.Anderson(1e-4), eqgrad.GMRES(3e-3))"
"""Of the page."""
TIGHT = "eqgrad.implicit(eqgrad.Anderson(1e-5), eqgrad.GMRES(1e-4))"
"""Tight enough that two of its gradients may be compared."""


def warm_block(page, monkeypatch, warm=True, solver=SOLVER):
    """Run the warm block; returns work and gradient of each step, and the names it leaves."""
    solutions, gradients, solve = [], [], solvers.Solver.__call__

    def watched(*arguments, **starts):
        solutions.append(solve(*arguments, **starts))
        return solutions[-1]

    def note(optimizer, *_):
        leaves = [p for group in optimizer.param_groups for p in group["params"]]
        gradients.append(torch.cat([p.grad.flatten() for p in leaves]))

    monkeypatch.setattr(solvers.Solver, "__call__", watched)
    hook = register_optimizer_step_pre_hook(note)
    names = {**page, "model": copy.deepcopy(page["model"])}
    code = WARM if warm else WARM.replace("warm=eqgrad.WarmStarts()", "warm=None")
    assert warm == (code == WARM)
    assert SOLVER in code
    code = code.replace(SOLVER, solver)
    torch.manual_seed(0)
    exec(compile(code, "docs/deepinv.md", "exec"), names)
    hook.remove()
    return [s.work for s in solutions], gradients, names


def test_warm_starts_save_products(page, monkeypatch):
    cold, _, _ = warm_block(page, monkeypatch, warm=False)
    warm, _, names = warm_block(page, monkeypatch)
    assert len(cold) == len(warm) == EPOCHS * STEPS
    assert warm[:STEPS] == cold[:STEPS]
    assert sum(warm[STEPS:]) < 0.9 * sum(cold[STEPS:])
    assert sorted(names["model"].warm.adjoints) == [0, 1, 2, 3]
    assert losses(MADE[-1])[-1] < losses(MADE[-1])[0]
    assert names["model"].state_dict().keys() == {"operator.filters"}


def test_warm_starts_change_no_gradient_beyond_its_tolerance(page, monkeypatch):
    _, exact, _ = warm_block(page, monkeypatch, False, TIGHT)
    work, found, _ = warm_block(page, monkeypatch, True, TIGHT)
    assert min(work[STEPS:]) < work[0]
    for f, e in zip(found, exact, strict=True):
        assert float((f - e).norm()) < 0.01 * float(e.norm())


def test_an_algorithm_of_deepinv_trains_and_says_what_its_solves_found(page, monkeypatch, capsys):
    _, _, names = warm_block(page, monkeypatch)
    exec(compile(OPTIM, "docs/deepinv.md", "exec"), names)
    assert len(names["rows"]) == 2 * STEPS
    assert all(row["converged"] == 1 and 0 < row["L"] < 1 for row in names["rows"])
    assert "True" in capsys.readouterr().out
