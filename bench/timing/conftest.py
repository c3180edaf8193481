"""Options and fixtures of the timings, and the cells that they run on."""

from __future__ import annotations

import gc
import pickle
from pathlib import Path

import pytest
import torch


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of ``bench.timing.launch``, not of users."""
    parser.addoption("--cost-plan", default=None, help="pickled jobs, written by bench.timing.launch")
    parser.addoption("--cost-report", default=None, help="file that gets a line of JSON for each timing")


def default_jobs():
    """The timings of ``pytest bench/timing``: an estimator of each kind on real 256×256 crops."""
    from ..config.matrix import Cell, load_profile, parse_solver, parse_task
    from ..records.job import Job
    from ..tasks.images import find_images

    profile = load_profile("quick")
    images = profile.images.model_copy(update={"crop": 256, "train": 2, "test": 1})
    training = profile.training.model_copy(update={"batch": 1})
    timing = profile.timing.model_copy(update={"rounds": 15, "seconds": 6.0})
    profile = profile.model_copy(update={"images": images, "training": training, "timing": timing})
    solvers = (
        "restarted_jfb(1, 1)",
        "restarted_jfb(10, 10)",
        "neumann(40, 40)",
        "phantom(40, 10)",
        "implicit(picard(0.001), picard(0.01))",
        "implicit(nesterov(0.0001), cg(0.003))",
        "implicit(anderson(0.0001), gmres(0.003))",
        "deq(0.0001)",
    )
    cells = [Cell(parse_task(task), parse_solver(solver), 0) for task in profile.tasks for solver in solvers]
    return [
        Job(f"{cell.task.label} {cell.solver.label}", "cost", cell, profile, find_images(), "cpu")
        for cell in cells
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a job."""
    if "job" in metafunc.fixturenames:
        plan = metafunc.config.getoption("--cost-plan")
        # Safe to unpickle: the parent process has just written it.
        jobs = pickle.loads(Path(plan).read_bytes()) if plan else default_jobs()
        ids = [f"{job.cell.task.label}-{job.cell.method}".replace(" ", "") for job in jobs]
        metafunc.parametrize("job", jobs, ids=ids)


@pytest.fixture(scope="session", autouse=True)
def _imported():
    """Exclude imported modules from the collections of garbage between timings."""
    gc.freeze()


@pytest.fixture(autouse=True)
def _memory():
    """Free the memory of a timing, also after a failure, whose traceback holds tensors."""
    yield
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


@pytest.fixture(autouse=True)
def _restore_threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
