"""Cells of the tiny profile."""

from __future__ import annotations

import torch

from bench.config.matrix import Cell, parse_solver, parse_task

CPU = torch.device("cpu")


def cell(task, solver, seed=0):
    return Cell(parse_task(task), parse_solver(solver), seed)
