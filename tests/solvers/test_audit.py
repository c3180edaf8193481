"""Audits of gradients that were found elsewhere."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from solvers import (
    GMRES,
    Anderson,
    LipschitzConstants,
    audit,
    implicit,
)
from tests.helpers.certified_maps import SMOOTH6, misuse
from tests.helpers.monitored import Affine
from tests.helpers.tensors import F64


class Two(nn.Module):
    """``Mx + p + 3q``: two parameters."""

    def __init__(self):
        super().__init__()
        self.M = Affine().M
        self.p, self.q = (nn.Parameter(torch.linspace(-1, s, 6, dtype=F64)) for s in (1.0, 2.0))

    def forward(self, x):
        return x @ self.M.T + self.p + 3 * self.q

    def regularity(self):
        return LipschitzConstants(0.8, 0.0, 0.0, lambda x: (2 * 10) ** 0.5, parameters=[self.p, self.q])


@misuse("the gradient in some of the parameters is audited", "right: all numbers are those of that part")
def test_an_audit_of_a_part_is_of_that_part():
    T, x0 = Two(), torch.zeros(2, 6, dtype=F64)
    x = implicit(Anderson(1e-14), GMRES(1e-14))(T, x0).x
    p, q = torch.autograd.grad(SMOOTH6(x), [T.p, T.q])
    for part, g in ((T.p, p), (T.q, q)):
        found = audit(T, x.detach(), SMOOTH6, [part], [1.1 * g])
        error = float(0.1 * g.norm())
        assert found.rigorous
        assert found.least <= error <= found.error
        assert error / float(g.norm()) <= found.relative
        assert found.size == pytest.approx(float(g.norm()), rel=0.1)


@misuse(
    "an audit is given a parameter twice, a tensor that is no leaf, or a gradient of another shape",
    "refused: ValueError, a parameter is given twice: give each once, with its gradient",
)
def test_an_audit_refuses_what_it_cannot_be_true_of():
    T, x = Two(), torch.zeros(2, 6, dtype=F64)
    g = torch.ones(6, dtype=F64)
    for parameters, given, words in (
        ([T.p, T.p], [g, g], "given twice"),
        ([T.p + 0], [g], r"parameters\[0\], of shape \(6,\), is no leaf"),
        ([T.p, torch.ones(6, dtype=F64, requires_grad=True)], [g, g], r"parameters\[1\]"),
        ([T.p], [torch.ones(3, dtype=F64)], r"gradient\[0\] has the shape \(3,\)"),
        ([T.p], [None], r"gradient\[0\] is None"),
        ([T.p], [math.nan * g], r"gradient\[0\] is not finite"),
    ):
        with pytest.raises(ValueError, match=words):
            audit(T, x, SMOOTH6, parameters, given)
