"""States of coefficients: synthesis, range and coupling."""

from __future__ import annotations

import copy
from dataclasses import replace
from unittest.mock import patch

import pytest
import torch

from bench.penalties import (
    l1,
    union,
)
from bench.penalties.synthesis import free_entries
from tests.helpers.penalties import COUPLED, EVERY, built, coupled, dense, small, state_shape
from tests.helpers.tensors import F64, draw


@pytest.mark.parametrize("prior", EVERY, ids=lambda p: p.label)
def test_the_synthesis_has_its_adjoint_and_its_range(prior):
    penalty = built(prior, 0)
    s, x = draw(2, *state_shape(prior, 2)), draw(3, 2, 3, 8, 8)
    torch.testing.assert_close(
        (penalty.image(s) * x).sum(), (s * penalty.synthesis_adjoint(x)).sum(), rtol=1e-12, atol=0
    )
    S = dense(penalty.image, state_shape(prior))
    values = torch.linalg.eigvalsh(S.mT @ S)
    found = penalty.range()
    assert all(type(end) is float for end in found)
    assert found == pytest.approx((float(values[0]), float(values[-1])), abs=1e-12)


def test_a_union_is_a_tight_frame():
    penalty = union().build((3, 32, 32), F64)
    x = draw(0, 2, 3, 32, 32)
    state = penalty.synthesis_adjoint(x)
    assert state.shape == (2, 9, 32, 32)
    torch.testing.assert_close(penalty.image(state), x, rtol=0, atol=1e-13)
    for k, wavelet in enumerate(("haar", "db2", "db4")):
        one = replace(l1(), wavelet=wavelet).build((3, 32, 32), F64).wavelets.analyse(x)
        torch.testing.assert_close(state[:, 3 * k : 3 * k + 3], one / 3**0.5, rtol=0, atol=1e-13)


@coupled
def test_the_matrices_are_triangular_with_determinant_one_in_each_group(prior):
    penalty = built(prior, 0)
    members = prior.groups.members(3, 3)
    apart = members[:, None] != members
    for N in penalty.matrices().detach():
        assert (N.triu(1) == 0).all()
        assert (N[apart] == 0).all()
        for group in members.unique():
            mine = N[members == group][:, members == group]
            assert float(torch.linalg.det(mine)) == pytest.approx(1, rel=1e-12)
            assert (mine.tril() != 0).equal(torch.ones_like(mine).tril() != 0)
    free = free_entries(members).flatten(1)
    torch.testing.assert_close(free @ free.mT, torch.eye(len(free), dtype=F64))
    assert torch.equal(small(prior).build((3, 8, 8), F64).matrices()[0], torch.eye(9, dtype=F64))


def test_the_range_is_found_once_for_the_parameters_of_a_moment():
    penalty = built(COUPLED[0], 0)
    optimiser = torch.optim.Adam(penalty.parameters(), 0.1)

    def looks(f):
        with patch.object(torch.linalg, "svdvals", wraps=torch.linalg.svdvals) as svd:
            found = f()
        return found, svd.call_count

    first, count = looks(lambda: [penalty.range() for _ in range(3)][-1])
    assert count == 1
    assert looks(penalty.range) == (first, 0)
    penalty.image(draw(0, *state_shape(COUPLED[0]))).square().sum().backward()
    optimiser.step()
    seen = {first}
    for change in (
        lambda: None,
        lambda: penalty.load_state_dict({k: 0.9 * v for k, v in penalty.state_dict().items()}),
        lambda: setattr(penalty.coupling, "data", 1.1 * penalty.coupling.data),
        lambda: setattr(penalty, "coupling", torch.nn.Parameter(0.9 * penalty.coupling.detach())),
    ):
        change()
        found = penalty.range()
        assert found == penalty._range()
        assert found not in seen, "stale"
        seen.add(found)
    largest = []

    def wrapped(coupling):
        with patch.dict(penalty._parameters, coupling=coupling):
            largest.append(penalty.range()[1])
        return coupling.sum()

    torch.func.jacrev(torch.func.jacrev(wrapped))(torch.zeros_like(penalty.coupling))
    assert largest == [1]
    outside = {"coupling": torch.zeros_like(penalty.coupling)}
    assert torch.func.functional_call(
        Ranged(penalty), {f"penalty.{k}": v for k, v in outside.items()}, ()
    ) == (1, 1)
    assert penalty.range() == found
    twin = copy.deepcopy(penalty)
    with torch.no_grad():
        twin.coupling.zero_()
    assert twin.range() == (1, 1)


class Ranged(torch.nn.Module):
    def __init__(self, penalty):
        super().__init__()
        self.penalty = penalty

    def forward(self):
        return self.penalty.range()
