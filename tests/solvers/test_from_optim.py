"""Algorithms of deepinv at their equilibrium, what a model says of its last solve, and where it writes that."""

from __future__ import annotations

import copy
import math
import warnings

import deepinv
import pytest
import torch
from deepinv.optim import ADMM, FISTA, GD, HQS, L2, PGD, AndersonAccelerationConfig, DEQConfig, PnP
from deepinv.physics.functional import gaussian_blur

from solvers import (
    EquilibriumWarning,
    GradientMonitor,
    OptimOperator,
    Reconstructor,
    certified,
    deq,
    jfb,
    log_to_mlflow,
    log_to_wandb,
    parse_solver,
    restarted_jfb,
    unrolled,
)
from tests.solvers.test_reconstructor import PHYSICS, Iteration, Y

torch.manual_seed(0)
BLUR = deepinv.physics.BlurFFT((1, 16, 16), gaussian_blur(sigma=(1.0, 1.0)))
MEASURED = BLUR(torch.rand(2, 1, 16, 16))


class Ridge(deepinv.optim.Prior):
    """½‖x − w‖², with a learned w: the equilibrium and its gradient are known in closed form."""

    def __init__(self) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor(0.3))
        self.explicit_prior = True

    def fn(self, x, *_, **__):
        return 0.5 * (x - self.w).square().sum((1, 2, 3))

    def prox(self, x, *_, gamma=1.0, **__):
        return (x + gamma * self.w) / (1 + gamma)

    def grad(self, x, *_, **__):
        return x - self.w


def algorithm(kind=PGD, **settings):
    settings = {"stepsize": 0.8, "lambda_reg": 0.1, "unfold": True, "trainable_params": []} | settings
    return kind(L2(), prior=Ridge(), **settings)


def exact_sum():
    """Σx* for (AᵀA + 0.1)x = Aᵀy + 0.1 w; A keeps constant images."""
    return float((BLUR.A_adjoint(MEASURED).sum() + 0.1 * 0.3 * MEASURED.numel()) / 1.1)


@pytest.mark.parametrize("kind", [PGD, HQS, GD])
def test_the_image_and_the_gradient_are_those_of_the_equilibrium(kind):
    optim = algorithm(kind)
    model = Reconstructor.from_optim(optim, "deq(1e-5)")
    x = model(MEASURED, BLUR)
    x.sum().backward()
    assert model.last.converged
    if kind is HQS:  # it minimises an envelope of the penalty; its constant images are those of the penalty
        assert optim.prior[0].w.grad is not None
        return
    assert float(x.detach().sum()) == pytest.approx(exact_sum(), rel=1e-3)
    assert float(optim.prior[0].w.grad) == pytest.approx(0.1 / 1.1 * MEASURED.numel(), rel=1e-3)


def test_it_starts_and_steps_as_deepinv_does():
    for steps in (1, 4):
        optim = algorithm(max_iter=steps, early_stop=False)
        ours = Reconstructor.from_optim(optim, unrolled(steps), measure=0)(MEASURED, BLUR)
        torch.testing.assert_close(ours, optim(MEASURED, BLUR))


def test_parameters_are_those_of_the_algorithm():
    optim = algorithm(trainable_params=["stepsize"])
    model = Reconstructor.from_optim(optim)
    assert len(list(model.parameters())) == 2
    assert {id(p) for p in model.parameters()} == {id(p) for p in optim.parameters()}
    again = copy.deepcopy(model)
    again(MEASURED, BLUR).sum().backward()
    assert optim.prior[0].w.grad is None
    assert again.operator.optim.prior[0].w.grad is not None


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: algorithm(unfold=False), ValueError, "PGD must be made with unfold=True"),
        (lambda: torch.nn.Linear(2, 2), TypeError, "optim must be an algorithm of deepinv .* not a Linear"),
        (
            lambda: algorithm(stepsize=[0.5] * 9, max_iter=9),
            ValueError,
            "stepsize of PGD has 9 values, one an iteration",
        ),
    ],
)
def test_what_has_no_equilibrium_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        Reconstructor.from_optim(make())


@pytest.mark.parametrize("kind", [FISTA, ADMM])
def test_an_iteration_on_more_than_the_image_is_refused(kind):
    model = Reconstructor.from_optim(algorithm(kind))
    with pytest.raises(TypeError, match=f"an iteration of {kind.__name__} needs more than the image"):
        model(MEASURED, BLUR)


def test_a_solver_may_be_its_label():
    for solver in (deq(1e-4), restarted_jfb(3, 2), parse_solver("implicit(anderson(1e-4), gmres(3e-3))")):
        assert parse_solver(solver.label) == solver
    assert Reconstructor(Iteration(), "jfb(3)").solver == jfb(3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("deq(", "cannot read the solver 'deq\\('"),
        ("deq", "write calls with numbers"),
        ("dek(1e-4)", "dek is none of unrolled, "),
        ("deq(tol=x)", "x is no number"),
        ("deq(open(1))", "open is none of "),
        ("deq(rate=1)", "solver 'deq\\(rate=1\\)': .*rate"),
        ("deq(**{})", "name each setting"),
        ("jfb(-1)", "solver 'jfb\\(-1\\)': "),
    ],
)
def test_another_text_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        Reconstructor(Iteration(), text)


def test_an_unknown_keyword_is_refused():
    model = Reconstructor(Iteration(), deq(1e-6))
    with pytest.raises(TypeError, match="unexpected keyword argument 'trutth'"):
        model(Y, PHYSICS, trutth=Y)


def test_the_last_solve_has_its_residual_and_the_norm():
    model = Reconstructor(Iteration(), jfb(3), measure=1)
    assert model.last is None
    x = model(Y, PHYSICS).detach()
    assert pytest.approx(0.5, rel=1e-12) == model.last.L
    following = (0.5 * x + Y).detach()
    assert model.last.residual == pytest.approx(float((following - x).norm() / following.norm()), rel=1e-12)
    assert model.last.converged is None
    model.eval()(Y, PHYSICS)
    assert math.isnan(model.last.L)


def test_the_norm_is_measured_in_every_nth_solve_of_training():
    model = Reconstructor(Iteration(), jfb(3), measure=3)
    found = []
    for _ in range(5):
        model(Y, PHYSICS)
        found.append(not math.isnan(model.last.L))
    assert found == [True, False, False, True, False]


def test_certificates_are_there_after_the_backward_pass():
    loss = lambda truth: lambda x: (x - truth).square().sum()  # noqa: E731
    model = Reconstructor(Iteration(), GradientMonitor(jfb(40), lambda *_: None, every=1), loss=loss)
    loss(Y)(model(Y, PHYSICS, truth=Y)).backward()
    assert model.last.certificate is model.solver.latest
    assert Reconstructor(Iteration(), certified(1e-2)).last is None


@pytest.mark.parametrize(
    ("theta", "solver", "words"),
    [
        (1.5, jfb(3), r"the operator is no contraction: ‖J‖ ≥ 1.5 where its solve ended"),
        (1e200, jfb(3), r"the solve diverged \(residual nan\)"),
    ],
)
def test_an_operator_without_an_equilibrium_leads_to_a_warning(theta, solver, words):
    operator = Iteration()
    operator.theta.data.fill_(theta)
    with pytest.warns(EquilibriumWarning, match=words):
        Reconstructor(operator, solver, measure=1)(Y, PHYSICS)


def test_a_contraction_leads_to_none():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Reconstructor.from_optim(algorithm(), measure=1)(MEASURED, BLUR)


def test_values_are_logged_at_the_end_of_each_backward_pass(tmp_path):
    rows = []
    model = Reconstructor(
        Iteration(), deq(1e-10), measure=2, log=lambda step, values: rows.append((step, values))
    )
    for _ in range(3):
        model(Y, PHYSICS)
        assert len(rows) < 3
        model(Y, PHYSICS).sum().backward()
    assert [step for step, _ in rows] == [1, 3, 5]
    assert all(row["converged"] == 1 and row["adjoint products"] > 0 for _, row in rows)
    model.eval()
    with torch.no_grad():
        model(Y, PHYSICS)
    assert len(rows) == 3


def test_each_service_gets_named_values_by_step():
    class Service:
        def __init__(self):
            self.calls = []

        def log_metrics(self, metrics, step):
            self.calls.append((metrics, step))

        def log(self, data, commit):
            self.calls.append((data, commit))

    service = Service()
    log_to_mlflow(service)(7, {"residual": 0.1})
    log_to_wandb(service)(7, {"residual": 0.1})
    assert service.calls == [
        ({"eqgrad/residual": 0.1}, 7),
        ({"eqgrad/step": 7, "eqgrad/residual": 0.1}, False),
    ]


def test_what_deepinv_hides_of_its_own_equilibrium():
    """deepinv's DEQ with a budget of ten stops far from it and says nothing."""
    theirs = algorithm(stepsize=0.05, lambda_reg=0.01, max_iter=10, DEQ=DEQConfig(max_iter_backward=10))
    (prior,) = theirs.prior
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        theirs(MEASURED, BLUR).sum().backward()
    found, prior.w.grad = float(prior.w.grad), None
    model = Reconstructor(OptimOperator(theirs), "deq(1e-6)", measure=1)
    model(MEASURED, BLUR).sum().backward()
    exact = 0.01 / 1.01 * MEASURED.numel()
    assert float(prior.w.grad) == pytest.approx(exact, rel=1e-3)
    assert abs(found - exact) > 0.01 * exact
    assert model.last.L > 0.9


def test_the_demo_of_deepinvs_equilibrium_models_has_none():
    """Its DnCNN of seven layers, Anderson acceleration and budget, before training; deepinv says nothing of it."""
    torch.manual_seed(0)
    network = deepinv.models.DnCNN(1, 1, depth=7, pretrained=None)
    mixing = AndersonAccelerationConfig()
    optim = PGD(
        L2(),
        prior=PnP(network),
        stepsize=1.0,
        sigma_denoiser=0.03,
        trainable_params=["stepsize", "g_param"],
        max_iter=10,
        unfold=True,
        anderson_acceleration=mixing,
        DEQ=DEQConfig(anderson_acceleration_backward=True),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "No explicit prior")  # of its cost, which is not its equilibrium
        optim(MEASURED, BLUR).square().sum().backward()
    model = Reconstructor.from_optim(optim, "deq(1e-4)", measure=1)
    with pytest.warns(EquilibriumWarning, match="the operator is no contraction"):
        model(MEASURED, BLUR)
    assert model.last.converged is False
    assert model.last.residual > 0.01
    assert model.last.L > 1.5
