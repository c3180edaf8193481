"""Every experiment on inertia, its negative control, and the report, in the setting of the paper shrunk to a moment."""

from __future__ import annotations

import math
from dataclasses import replace

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
import torch
from torch import nn

from theory_checks.companions.inertia import GROUP
from theory_checks.companions.inertia.report.figures import figures
from theory_checks.companions.inertia.report.tables import tables
from theory_checks.companions.inertia.simulation import decoder, photograph_runs

TINY = replace(
    GROUP.paper,
    device="cpu",
    sweep_k=512,
    sweep_n=4,
    alphas=(1.0, 2.0, 3.0),
    betas=(0.0, 0.5),
    far_alphas=(2.0, 3.0),
    far_betas=(0.0,),
    horizon=250.0,
    sweep_step=0.25,
    widths=(32, 64, 128),
    width_seeds=1,
    certified_widths=(128, 4096),
    scheme_n=6,
    scheme_k=128,
    scheme_steps=600,
    recovery_k=256,
    crop=12,
    shrink=8,
    crop_noise=0.05,
    channels=4,
    layers=3,
    iterations=12,
    crop_alphas=(0.1,),
    crop_betas=(0.0, 0.5),
    ritz=3,
)


def test_group_has_every_claim_and_names_what_catches_its_mutants():
    ids = [e.id for e in GROUP.experiments]
    assert ids[:8] == [f"1.{i}" for i in range(1, 9)]
    assert set(ids[8:]) == {"1.9", "1.9-photograph"}
    assert {claim for m in GROUP.mutants for claim in m.claims} <= set(ids)
    assert len({m.name for m in GROUP.mutants}) == len(GROUP.mutants) >= 20


@pytest.mark.parametrize("experiment", GROUP.experiments, ids=lambda e: e.id)
def test_experiment_runs_at_the_papers_setting_shrunk(experiment):
    rows = experiment.measure(TINY)
    assert rows
    assert len({row.quantity for row in rows}) == len(rows)
    assert any(not row.reported for row in rows)
    assert experiment.negative_control(TINY)
    if experiment.id in {"1.1", "1.2", "1.5", "1.9"}:
        assert not [row for row in rows if row.status == "fail"]
    if experiment.id in {"1.1", "1.2", "1.4", "1.5", "1.6", "1.9"}:
        control = experiment.negative_control(TINY)
        assert any(math.isfinite(row.measured) and not row.inside for row in control)


def test_tables_and_figures():
    drawn = tables(TINY)
    assert all(len(table) for table in drawn.values())
    assert list(drawn["rates"]["start"]).count("near") == 1 + 6
    with mpl.rc_context({"backend": "agg"}):
        shown = figures(TINY)
    assert len(shown) == 6
    for figure in shown.values():
        figure.clear()
        plt.close(figure)


def test_decoder_is_the_one_of_deepinv_without_batch_norm():
    g, theta = decoder.decoder(10, 3, 4, nn.Tanh, 0, "cpu")
    kinds = {type(module) for module in g.network.modules()}
    assert nn.Tanh in kinds
    assert not kinds & {nn.ReLU, nn.BatchNorm2d}
    assert g.image(theta).shape == (1, 1, 10, 10)
    assert len(theta) == sum(p.numel() for p in g.network.parameters())
    # The parameters that it is given are the ones that it uses.
    assert not torch.equal(g.image(theta), g.image(theta + 0.1))
    grey = theta.clone()
    grey[:-1] = 0
    assert torch.equal(g.image(grey), torch.full((1, 1, 10, 10), 0.5, dtype=theta.dtype))


def test_what_descent_never_reaches_is_no_speed_up():
    slow = photograph_runs.descent_run(TINY)
    assert photograph_runs.iterations_until(slow, 0.0) == -1
    assert photograph_runs.iterations_until(slow, math.inf) == 1
    quick = photograph_runs.fastest(photograph_runs.tanh_runs(TINY))
    assert quick in photograph_runs.tanh_runs(TINY)


def test_weakest_singular_value_of_the_blur():
    of = photograph_runs.blurred_photograph(TINY)
    images = torch.eye(144, dtype=torch.float64).view(144, 1, 12, 12)
    A = of.physics.A(images).reshape(144, 144)
    assert float(torch.linalg.svdvals(A).min()) == pytest.approx(of.weakest, rel=1e-6)
    assert float((of.y - of.physics.A(of.truth)).norm()) == pytest.approx(of.noise)
