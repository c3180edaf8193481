"""Memory and time of a training step."""

from __future__ import annotations

from statistics import median

from .metric import Column, Metric, Table, Tolerance
from .readers import interquartile_range, mebibytes, timing

RESULTS = Table.RESULTS

COSTS = (
    Metric(
        "saved_mib",
        "Memory kept between the forward and the backward pass, in saved tensors of autograd and in objects of the "
        "solver; the same on every machine.",
        title="tape",
        unit="MiB",
        format=".2f",
        columns={RESULTS: Column(13)},
        better="lower",
        read=mebibytes("saved_bytes"),
        tolerance=Tolerance(relative=0.01),
        aspect="memory",
        benchopt="tape_mib",
    ),
    Metric(
        "peak_mib",
        "Most memory in use at once in a training step; on a GPU in blocks of the allocator, with the workspaces of "
        "CUDA's libraries.",
        title="peak",
        unit="MiB",
        format=".2f",
        columns={RESULTS: Column(14, hidden=True)},
        better="lower",
        read=mebibytes("peak_bytes"),
        aspect="memory",
        benchopt="peak_mib",
    ),
    Metric(
        "peak_requested_mib",
        "Peak before the allocator rounds it to blocks; measured on CUDA only.",
        title="peak requested",
        unit="MiB",
        format=".2f",
        columns={RESULTS: Column(15, hidden=True)},
        better="lower",
        read=mebibytes("peak_requested_bytes"),
        aspect="memory",
    ),
    Metric(
        "step_ms",
        "Median time of a training step on the machine of the run, ± the interquartile range over rounds.",
        title="step",
        unit="ms",
        format=".1f",
        columns={RESULTS: Column(16)},
        better="lower",
        timed=True,
        spread="step_iqr_ms",
        read=timing(lambda seconds: 1e3 * median(seconds), "seconds"),
    ),
    Metric(
        "step_iqr_ms",
        "Interquartile range of `step_ms` over rounds.",
        unit="ms",
        timed=True,
        read=timing(lambda seconds: 1e3 * interquartile_range(seconds), "seconds"),
    ),
    Metric(
        "floor_ratio",
        "Time of a step over that of a bare loop with the same applications and products: median of interleaved pairs, "
        "± their interquartile range; 1.00 means that the solver adds nothing.",
        title="× bare loop",
        format=".2f",
        columns={RESULTS: Column(17, hidden=True)},
        better="lower",
        bold=False,
        timed=True,
        spread="floor_iqr",
        read=timing(median, "ratios"),
    ),
    Metric(
        "floor_iqr",
        "Interquartile range of `floor_ratio` over rounds.",
        timed=True,
        read=timing(interquartile_range, "ratios"),
    ),
    Metric(
        "same_ratio",
        "Time of the bare loop over that of itself, which differs from 1 by chance alone.",
        timed=True,
        read=timing(median, "ratios_of_floor"),
    ),
)
