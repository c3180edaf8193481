"""Bring your own operator: what is said of a good one, a wrong one, and one that cannot be read."""

from __future__ import annotations

import textwrap

import pytest

from bench.utils.provenance import ROOT
from tests.helpers.commands import refused
from theory_checks.__main__ import entry
from theory_checks.operators.operator_claims import (
    ARGUMENTS,
    WITH_CURVATURE,
    WITH_REGULARITY,
    check_operator_claims,
)
from theory_checks.operators.user_operator import load_operator, operator_case

HEAD = """
import torch
from torch import nn
from theory_checks.operators import UserOperator

class Step(nn.Module):
    def __init__(self, scale=0.5, dtype=torch.float64):
        super().__init__()
        self.bias = nn.Parameter(torch.linspace(-1, 1, 6, dtype=dtype).view(2, 3))
        self.gain = nn.Parameter(torch.tensor(0.9, dtype=dtype))
        self.scale = scale
    def forward(self, x):
        return self.scale * torch.tanh(self.gain * x) + self.bias

x0 = torch.zeros(2, 3, dtype=torch.float64)
"""


def written(tmp_path, body):
    file = tmp_path / "mine.py"
    file.write_text(HEAD + textwrap.dedent(body))
    return f"{file}:mine"


def verdicts(text):
    return {f.claim: f.verdict for f in check_operator_claims(*operator_case(load_operator(text), text))}


def test_a_contraction_holds_and_what_is_not_known_is_not_checked(tmp_path):
    found = verdicts(written(tmp_path, "mine = lambda: UserOperator(Step(), x0, L=0.45)"))
    assert {found[name] for name in ARGUMENTS} == {"holds"}
    assert {found[name] for name in (*WITH_CURVATURE, *WITH_REGULARITY)} == {"not applicable"}


def test_with_its_constants_the_bounds_are_checked_too(tmp_path):
    # sup |tanh''| = 0.77: |∂J| ≤ 0.5·0.81·0.77; the gain's derivative 0.5 x sech² has slope ≤ 0.5 + …
    found = verdicts(written(tmp_path, "mine = lambda: UserOperator(Step(), x0, L=0.45, M_J=0.32, M_B=1.0)"))
    assert set(found.values()) == {"holds"}


def test_without_l_it_is_estimated_and_labelled(tmp_path):
    text = written(tmp_path, "mine = lambda: UserOperator(Step(), x0)")
    found = check_operator_claims(*operator_case(load_operator(text), text))
    assert {f.rigour for f in found} == {"estimate"}
    assert all(0 < f.L < 0.46 for f in found)
    assert "holds" in {f.verdict for f in found}


def test_a_constant_that_is_too_small_is_found_out(tmp_path):
    found = verdicts(written(tmp_path, "mine = lambda: UserOperator(Step(), x0, L=0.01)"))
    assert found["C4"] == "FAILS"


def test_an_expansive_step_meets_no_assumption(tmp_path):
    body = "mine = lambda: UserOperator(Step(-3.0), x0)"
    assert set(verdicts(written(tmp_path, body)).values()) <= {"assumption not met", "not applicable"}


def test_a_stated_constant_that_is_seen_to_be_false_fails(tmp_path):
    found = verdicts(written(tmp_path, "mine = lambda: UserOperator(Step(-3.0), x0, L=0.9)"))
    assert found["C4"] == "FAILS"


def test_the_command_prints_it_and_exits_with_1_on_a_failure(tmp_path, capsys):
    assert (
        entry(["verify", "--operator", written(tmp_path, "mine = lambda: UserOperator(Step(), x0, L=0.45)")])
        == 0
    )
    assert "holds" in capsys.readouterr().out
    assert (
        entry(["verify", "--operator", written(tmp_path, "mine = lambda: UserOperator(Step(), x0, L=0.01)")])
        == 1
    )
    assert "C4 FAILS" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("mine = 3", "defines no function mine"),
        ("raise RuntimeError('no\\nluck')", "the file raises RuntimeError: no luck"),
        ("def mine(): raise KeyError('L')", "mine() raises KeyError"),
        ("def mine(): return Step()", "returns Step, not theory_checks.operators.UserOperator"),
        ("mine = lambda: UserOperator(torch.tanh, x0)", "step is no torch.nn.Module"),
        ("mine = lambda: UserOperator(nn.Tanh(), x0)", "the step has no parameters"),
        (
            "mine = lambda: UserOperator(Step(), x0.float())",
            "x0 is torch.float32; claims are checked in float64",
        ),
        ("mine = lambda: UserOperator(Step(dtype=torch.float32), x0)", "bias is torch.float32"),
        ("mine = lambda: UserOperator(Step(), x0[:1])", "keep shape and dtype"),
        (
            "mine = lambda: UserOperator(Step(), torch.zeros(5, dtype=torch.float64))",
            "step(x0) raises RuntimeError",
        ),
        ("mine = lambda: UserOperator(Step(), torch.zeros(3000, dtype=torch.float64))", "more than 2048"),
    ],
)
def test_one_that_cannot_be_checked_is_a_clear_line(tmp_path, capsys, body, message):
    assert message in refused(capsys, ["verify", "--operator", written(tmp_path, body)], run=entry)


@pytest.mark.parametrize("text", ["nothing", "nowhere.py:mine", ":mine", "a.py:not a name"])
def test_a_path_that_is_none_is_a_clear_line(text, capsys):
    assert entry(["verify", "--operator", text]) == 2
    assert capsys.readouterr().err.startswith("error: --operator")


def test_the_file_of_the_documentation_runs(tmp_path, capsys):
    page = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
    (tmp_path / "operator.py").write_text(page.split("```python\n")[1].split("```")[0])
    assert entry(["verify", "--operator", f"{tmp_path / 'operator.py'}:make"]) == 0
    assert "holds" in capsys.readouterr().out


def test_an_edit_is_seen_at_once(tmp_path):
    """Same second, same size: cached bytecode would be taken for current."""
    assert load_operator(written(tmp_path, "mine = lambda: UserOperator(Step(), x0, L=0.45)")).L == 0.45
    assert load_operator(written(tmp_path, "mine = lambda: UserOperator(Step(), x0, L=0.01)")).L == 0.01
