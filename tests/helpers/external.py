"""External solvers by their labels."""

from __future__ import annotations

import torch

from bench.config.call_syntax import parse_call
from bench.external import EXTERNAL_SOLVERS
from bench.measurement.training import parameters

TORCHDEQ = [
    "torchdeq_ift",
    "torchdeq_ift(30, 7, tol=0, tol_backward=0)",
    "torchdeq_ift(30, 7, hook=True, relative=True)",
    "torchdeq_anderson(12, 9)",
    "torchdeq_anderson(12, 9, m=3, lam=1e-10, lam_backward=1e-14, hook=True)",
    "torchdeq_broyden(12, 9)",
    "torchdeq_broyden(12, 9, memory=4, hook=True, tol=0)",
    "torchdeq_phantom",
    "torchdeq_phantom(10, 4, damping=0.5)",
]

DEEPINV = [
    "deepinv_deq(9, 7)",
    "deepinv_deq(9, 7, anderson=True, history=3, regularisation=1e-12, thres=0)",
    "deepinv_deq(60, 60, thres=1e-2, early_stop=True)",
    "deepinv_anderson(9, 7, 3, 1.0, 1e-12)",
    "deepinv_jfb(9)",
    "deepinv_unfolded(9)",
]


def external_solver(text):
    return parse_call(text, EXTERNAL_SOLVERS, "external solver")


def left(found):
    return torch.cat([p.grad.flatten() for p in parameters(found)])
