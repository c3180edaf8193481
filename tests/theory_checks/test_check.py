"""``check`` tells in words what is wrong with a user's solver, task or operator, and nothing of a right one."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

import pytest
import torch
from deepinv.physics import DecomposablePhysics, Inpainting
from hypothesis import given
from torch import nn

from bench.operators import Operator, data_term, huber
from bench.provenance import ROOT
from bench.tasks import Task
from bench.tasks.denoising import Identity
from solvers import (
    GMRES,
    ROSTER,
    Equilibrium,
    Implicit,
    Iterate,
    Picard,
    Report,
    Solution,
    Solver,
    Tracked,
    conformance,
    deq,
    restarted_jfb,
)
from theory_checks.__main__ import entry
from theory_checks.cases import affine, contractions
from theory_checks.check import called, findings
from theory_checks.check_batch import stops_alone
from theory_checks.check_problem import OF_OPERATOR, OF_TASK, built
from theory_checks.check_solver import solver_findings
from theory_checks.found import Found, demand, found, together

EXAMPLES = ROOT / "docs" / "examples"


def faults(some: Iterable[Found]) -> dict[str, str]:
    return {one.check: one.words for one in some if one.wrong}


SOME = ("unrolled", "restarted_jfb", "deq", "checkpointed")
"""tests/solvers/test_conformance.py puts all of them through the same checks."""


@pytest.mark.filterwarnings("ignore::solvers.StagnationWarning")  # 1e-10 is asked for, whatever can be had
@pytest.mark.parametrize(
    "name",
    [name if name in SOME else pytest.param(name, marks=pytest.mark.slow) for name in ROSTER],
)
def test_no_solver_of_the_roster_is_called_wrong(name):
    some = solver_findings(ROSTER[name].example)
    assert not faults(some)
    notes = {one.check for one in some if one.verdict == "note"}
    assert ("agrees_with_oracle" in notes) == (ROSTER[name].bias is not None)


def test_every_check_of_the_conformance_suite_is_run():
    names = {one.check for one in solver_findings(restarted_jfb(3, 10))}
    assert {check.__name__ for check in conformance.CHECKS} <= names


@dataclass(frozen=True)
class Detached:
    def __call__(self, T, at, loss=None):
        y = T(at.x)
        return Solution(y.detach() + 0 * y, at.report, 1)


@dataclass(frozen=True)
class Minus:
    def __call__(self, T, at, loss=None):
        solved = Implicit(GMRES(1e-12))(T, at)
        return replace(solved, x=2 * solved.x.detach() - solved.x)


@dataclass(frozen=True)
class Half:
    def __call__(self, T, at, loss=None):
        solved = Implicit(GMRES(1e-12))(T, at)
        return replace(solved, x=0.5 * (solved.x + solved.x.detach()))


@dataclass(frozen=True)
class WrongSign:
    def __call__(self, T, v):
        u = v
        for _ in range(80):
            u = 2 * v - T(u)
        return Equilibrium(u, Report(80))


@dataclass(frozen=True)
class Uncounted:
    def __call__(self, T, x0):
        at = Iterate(300)(T, x0)
        T(at.x)
        return at


@dataclass(frozen=True)
class Tapes:
    def __call__(self, T, at, loss=None):
        with torch.enable_grad():
            return Tracked(3)(T, at)


@dataclass(frozen=True)
class InPlace:
    def __call__(self, T, x0):
        for _ in range(300):
            x0.copy_(T(x0))
        return Equilibrium(x0, Report(300))


@dataclass(frozen=True)
class Liar:
    def __call__(self, T, x0):
        at = Picard(1e-3)(T, x0)
        return replace(at, report=replace(at.report, residual=1e-9))


@dataclass(frozen=True)
class Shrinks:
    def __call__(self, T, x0):
        x = x0
        for _ in range(100):
            x = 0.9 * T(x)
        return Equilibrium(x, Report(100))


@dataclass(frozen=True)
class Batchwise:
    tol: float = 1e-3

    def __call__(self, T, x0):
        x, k = x0, 0
        while k < 2000:
            y = T(x)
            k += 1
            if torch.linalg.vector_norm(y - x) < self.tol * torch.linalg.vector_norm(y):
                break
            x = y
        return Equilibrium(x, Report(k))


@dataclass(frozen=True)
class BatchwiseAdjoint:
    tol: float

    def __call__(self, T, v):
        u = v
        while True:
            y = T(u)
            if torch.linalg.vector_norm(y - u) < self.tol * torch.linalg.vector_norm(y):
                return Equilibrium(u, Report(1))
            u = y


@dataclass(frozen=True)
class Raises:
    def __call__(self, T, x0):
        raise RuntimeError("no\nluck")


def local_step(T, x0):
    return Iterate(30)(T, x0)


EXACTLY = Implicit(GMRES(1e-12))


@pytest.mark.parametrize(
    ("solver", "check", "words"),
    [
        (Solver("x", Iterate(30), Detached()), "reaches_every_parameter", "look for .detach()"),
        (Solver("x", Iterate(300), Minus()), "agrees_with_oracle", "opposite sign of the exact gradient"),
        (Solver("x", Iterate(300), Minus()), "agrees_with_closed_form", "opposite sign of the closed form"),
        (Solver("x", Iterate(300), Implicit(WrongSign())), "agrees_with_oracle", "that of u = v − J'u"),
        (Solver("x", Iterate(300), Half()), "agrees_with_oracle", "0.5 times the exact one"),
        (Solver("x", Uncounted(), EXACTLY), "counts_truly", "301 applications reported, 302 made"),
        (Solver("x", Iterate(30), Tapes()), "leaks_nothing", "a tape was made under no_grad"),
        (Solver("x", InPlace(), EXACTLY), "keeps_shape_and_dtype", "nothing may change x0 in place"),
        (Solver("x", Liar(), EXACTLY), "states_its_own_residual", "but the point that is returned has"),
        (
            Solver("x", Shrinks(), EXACTLY),
            "stays_at_equilibrium",
            "the fixed point of its steps is not that of T",
        ),
        (Solver("x", Raises(), EXACTLY), "counts_truly", "it raises RuntimeError: no luck"),
        (Solver("x", local_step, EXACTLY), "can_be_sent", "make its parts frozen dataclasses"),
        (Solver("x", lambda T, x0: local_step(T, x0), EXACTLY), "can_be_sent", "at the top of the file"),
        (Solver("", Iterate(300), EXACTLY), "label", "the label is ''"),
    ],
)
def test_a_wrong_solver_is_told_in_words(solver, check, words):
    assert words in faults(findings(solver))[check]


def test_a_right_one_beside_it_is_not():
    assert not faults(findings(Solver("x", Iterate(300), EXACTLY), within=1e-6))


@pytest.mark.parametrize(
    "tol",
    [
        pytest.param(
            1e-3,
            marks=pytest.mark.misuse(
                "check of a solver that stops on the norm of the whole batch",
                "refused: stop each sample by itself, and take every norm along its own dimensions",
            ),
        ),
        pytest.param(
            1e-13,
            marks=pytest.mark.misuse(
                "check of such a solver at the tight tolerance that the docs name",
                "refused: stop each sample by itself, and take every norm along its own dimensions",
            ),
        ),
        1e-14,
    ],
)
def test_a_stop_on_the_norm_of_the_batch_is_found_at_any_tolerance(tol):
    value = found("x", partial(stops_alone, Solver("x", Batchwise(tol), EXACTLY)))
    assert value.wrong
    assert "the value of a sample differs" in value.words
    gradient = found("x", partial(stops_alone, Solver("x", Picard(1e-14), Implicit(BatchwiseAdjoint(tol)))))
    assert gradient.wrong
    assert "the gradient of a sample differs" in gradient.words


@pytest.mark.misuse("check under python -O (no assert)", "right: it finds what it finds without -O")
def test_no_check_hangs_on_an_assert():
    files = sorted((ROOT / "theory_checks").glob("check*.py"))
    assert len(files) >= 4
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)], file.name
    with pytest.raises(AssertionError, match="words"):
        demand(False, "words")


def test_stops_of_each_sample_are_right_whatever_the_tolerance():
    for text in (
        "deq(1e-3)",
        "implicit(picard(1e-13), picard(1e-13))",
        f"{EXAMPLES}/broyden.py:broyden(1e-6)",
    ):
        assert not faults([found("x", partial(stops_alone, called(text)))]), text


def test_what_may_be_meant_is_a_note():
    biased = {one.check: one for one in findings(restarted_jfb(3, 10))}
    assert "differs from the exact one by 0.0888 %" in biased["agrees_with_oracle"].words
    assert not faults(biased.values())
    assert "more than 1e-06" in faults(findings(restarted_jfb(3, 10), within=1e-6))["agrees_with_oracle"]


class Step(Operator):
    """A gradient step towards mid-grey, wrong in the way that it is told to be."""

    def __init__(self, wrong, weight):
        super().__init__()
        self.wrong = wrong
        self.log_weight = nn.Parameter(weight.log())
        self.calls = 0

    def forward(self, x, y, physics, *, data=None):
        data = data or data_term(y, physics)
        w = self.log_weight.exp()
        if self.wrong == "detached":
            w = w.detach()
        if self.wrong == "slope":
            w = w.detach() + 2 * (w - w.detach())
        mean = x.mean(0, keepdim=True) if self.wrong == "mixes" else x
        if self.wrong == "noise":
            mean = mean + 1e-6 * torch.randn_like(x)
        return x + 0.9 * (data.descent(x) - w * (mean - 0.5))

    def contraction(self, spectrum):
        if self.wrong == "unknown":
            return math.nan
        if self.wrong == "bound":
            return 0.1
        w = float(self.log_weight.detach().exp())
        return max(abs(1 - 0.9 * (s + w)) for s in spectrum)


@dataclass(frozen=True)
class Prior:
    wrong: str = ""
    layers: int = 0

    @property
    def label(self):
        return f"prior({self.wrong})"

    def operator(self, shape, step, dtype, device):
        return Step(self.wrong, torch.tensor(0.3, dtype=dtype, device=device))


def small(prior):
    return Task("x", Identity(), (0.1,), prior, 0.5)


@pytest.mark.parametrize(
    ("wrong", "check", "words"),
    [
        ("detached", "derivatives", "T depends on log_weight, and no gradient reaches it"),
        ("slope", "derivatives", "the derivative in log_weight is"),
        ("slope", "gradient_at_equilibrium", "by differences of the solved problem"),
        ("mixes", "treats_samples_alone", "samples must not interact"),
        ("noise", "keeps_shape_and_repeats", "T(x) is another every time"),
        ("bound", "contraction", "contraction() states L = 0.1, but T stretches"),
    ],
)
def test_a_wrong_operator_is_told_in_words(wrong, check, words):
    one = found(check, partial(OF_OPERATOR[check], built(small(Prior(wrong)))))
    assert one.wrong
    assert words in one.words


def test_a_right_operator_is_not_and_one_without_a_bound_is_noted():
    for check in OF_OPERATOR:
        assert found(check, partial(OF_OPERATOR[check], built(small(Prior())))).verdict == "good"
    note = found("contraction", partial(OF_OPERATOR["contraction"], built(small(Prior("unknown")))))
    assert note.verdict == "note"
    assert "contraction() knows no bound; measured from below: 0." in note.words


@dataclass(frozen=True)
class Physics:
    wrong: str = ""

    def __call__(self, shape, rng, dtype, device):
        rng = None if self.wrong == "seed" else rng
        kept = torch.rand(shape, generator=rng, dtype=torch.float64) > 0.5
        mask = kept.to(device, dtype)
        if self.wrong in ("", "seed"):
            return Inpainting(img_size=shape, mask=mask, device=device)
        if self.wrong == "float32":
            mask = (mask + 0.01).float().double().to(dtype) if dtype == torch.float64 else mask

        def same(x):
            return x

        def louder(x):
            return 1.1 * x

        def rolled(x):
            return x.roll(1, -1)

        return DecomposablePhysics(
            U={"spectrum": louder, "adjoint": rolled}.get(self.wrong, same),
            U_adjoint=louder if self.wrong == "spectrum" else same,
            mask=mask[None],
            img_size=shape,
            device=device,
        )


@pytest.mark.parametrize(
    ("wrong", "check", "words"),
    [
        ("adjoint", "adjoint", "A_adjoint is not the adjoint of A"),
        ("spectrum", "spectrum", "above the largest of physics.mask²"),
        ("seed", "a_seed_is_a_problem", "draw everything random from rng"),
        ("float32", "float32", "make the physics in the dtype that is given"),
    ],
)
def test_a_wrong_task_is_told_in_words(wrong, check, words):
    one = found(check, partial(OF_TASK[check], Task("x", Physics(wrong), (0.05,), huber(), 1.0)))
    assert one.wrong
    assert words in one.words


def test_a_right_task_is_not_and_a_long_step_is_noted():
    for check in OF_TASK:
        assert (
            found(check, partial(OF_TASK[check], Task("x", Physics(), (0.05,), huber(), 1.0))).verdict
            == "good"
        )
    long = found("spectrum", partial(OF_TASK["spectrum"], Task("x", Physics(), (0.05,), huber(), 2.5)))
    assert long.verdict == "note"
    assert "the step 2.5 is too long" in long.words


def test_the_same_note_stands_once():
    notes = [Found("C1", "note", "no"), Found("C2", "good", ""), Found("C3", "note", "no")]
    assert together(notes) == [Found("C2", "good", ""), Found("C1, C3", "note", "no")]


@pytest.mark.parametrize("call", ["broyden.py:broyden(1e-13)", "broyden.py:Broyden(1e-13)"])
def test_the_solver_of_the_documentation_is_right(call):
    assert not faults(findings(called(f"{EXAMPLES}/{call}"), within=1e-9))


def test_broyden_ends_on_a_linear_map_after_twice_its_dimension():
    """Gay (1979): the good method does so in exact arithmetic. Plain steps would take 200 at L = 0.9."""
    reach = called(f"{EXAMPLES}/broyden.py:Broyden(1e-9, 200, 20)")
    for seed in range(10):
        case = affine(4, 2, 0.9, seed)
        with torch.no_grad():
            report = reach(case.T, case.x0).report
        assert report.converged
        assert report.applications <= 2 * 4 + 2


@given(case=contractions)
def test_broyden_converges_on_contractions(case):
    reach = called(f"{EXAMPLES}/broyden.py:Broyden(1e-9, 2000)")
    with torch.no_grad():
        at = reach(case.T, case.x0)
        y = case.T(at.x)
    assert at.report.converged
    assert torch.linalg.vector_norm(y - at.x) <= 1e-9 * torch.linalg.vector_norm(y)


def test_the_task_and_the_operator_of_the_documentation_are_right():
    """Without the claims, which the test of a template runs."""
    task = called(f"{EXAMPLES}/fourier.py:fourier")
    assert isinstance(task, Task)
    for check in OF_TASK:
        assert found(check, partial(OF_TASK[check], task)).verdict == "good"
    for at in (built(task), built(small(called(f"{EXAMPLES}/edges.py:edges")))):
        for check in OF_OPERATOR:
            assert found(check, partial(OF_OPERATOR[check], at)).verdict == "good"


def test_the_command_exits_with_1_where_something_fails(tmp_path, capsys):
    file = tmp_path / "mine.py"
    text = (EXAMPLES / "broyden.py").read_text()
    file.write_text(text)
    assert entry(["check", f"{file}:broyden(1e-13)", "--within", "1e-9"]) == 0
    captured = capsys.readouterr()
    assert "can_be_sent" in captured.out
    assert not captured.err
    assert "applications += 1" in text
    file.write_text(text.replace("applications += 1", "applications += 2"))
    assert entry(["check", f"{file}:broyden(1e-13)"]) == 1
    captured = capsys.readouterr()
    assert "counts_truly: " in captured.err
    assert "checks failed" in captured.err
    assert entry(["check", "deq(1e-12)", "--json"]) == 0
    assert {one["verdict"] for one in json.loads(capsys.readouterr().out)} <= {"good", "note"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("nowhere.py:mine", "there is no Python file nowhere.py"),
        ("{file}:three", "returns int: give what returns a solvers.Solver"),
        ("{file}:none", "returns nothing"),
        ("{file}:fails", "raises KeyError"),
        ("dec(3)", "did you mean deq"),
        ("huber", None),
    ],
)
def test_what_cannot_be_checked_is_one_line(tmp_path, capsys, call, message):
    file = tmp_path / "mine.py"
    file.write_text("def three(): return 3\ndef none(): pass\ndef fails(): raise KeyError('x')\n")
    options = [] if message else ["--within", "0.1"]
    assert entry(["check", call.format(file=file), *options]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert (message or "--within is for solvers") in said


def test_an_operator_of_theory_checks_is_checked_as_before(tmp_path, capsys):
    page = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
    (tmp_path / "operator.py").write_text(page.split("```python\n")[1].split("```")[0])
    assert entry(["check", f"{tmp_path / 'operator.py'}:make"]) == 0
    assert "C19" in capsys.readouterr().out


def test_deq_is_exact_on_the_crop_too():
    told = {one.check: one for one in solver_findings(deq(1e-13), within=1e-9)}
    assert told["deblurring(huber), 16×16"].verdict == "good"
