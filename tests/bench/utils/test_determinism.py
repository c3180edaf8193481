"""The same seed on the same machine: the same bytes."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
import torch

from bench.utils.determinism import deterministic
from tests.resilience.runs import ask, begin, table


def test_the_names_of_undetermined_operations_are_noted_and_other_warnings_pass():
    line = "does not have a deterministic implementation, but you set 'torch.use_deterministic_algorithms"
    with deterministic() as names:
        assert torch.are_deterministic_algorithms_enabled()
        for name in ("scatter_add_cuda", "cumsum_cuda", "scatter_add_cuda"):
            warnings.warn(f"{name} {line}", UserWarning, stacklevel=1)
        with pytest.warns(UserWarning, match="another"):
            warnings.warn("another", UserWarning, stacklevel=1)
    assert names == ["scatter_add_cuda", "cumsum_cuda"]
    assert not torch.are_deterministic_algorithms_enabled()


def test_what_was_set_before_is_set_again():
    torch.use_deterministic_algorithms(True, warn_only=False)
    try:
        with deterministic():
            assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


def warn_like_cuda():
    from bench.execution import cell_process

    measure = cell_process.measure

    def warned(*arguments):
        warnings.warn("bicubic_cuda does not have a deterministic implementation", UserWarning, stacklevel=1)
        return measure(*arguments)

    cell_process.measure = warned


@pytest.mark.process
def test_fresh_processes_give_the_same_values_however_many_there_are(tmp_path):
    from bench.records.store import Store

    asked = [ask(tmp_path / name, jobs=jobs) for name, jobs in (("a", 1), ("b", 2))]
    asked[1] = replace(asked[1], prepare=warn_like_cuda)
    assert [begin(one).end() for one in asked] == [0, 0]
    one, two = (table(each.out) for each in asked)
    assert one == two
    assert len(one) == 24
    named = [r.provenance["undetermined"] for r in Store(asked[1].out).records() if r.kind == "quality"]
    assert named == [["bicubic_cuda"]] * 16
    assert all(
        r.provenance["undetermined"] == [] for r in Store(asked[0].out).records() if r.kind == "quality"
    )
