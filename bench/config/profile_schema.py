"""Schema of a profile: the tables and keys that its TOML file may hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from solvers import ToleranceSchedule

from ..operators.compiled import ExecutionMode
from ..tasks.images import Layout

FOLDER = Path(__file__).parent / "profiles"


RENAMED = {"cost": "gpu"}
"""Profiles that there were, and what has taken their place."""


Count = Annotated[int, Field(ge=1, le=1_000_000)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ImagesTable(_Table):
    """Crops.

    Attributes:
        crop: their side in pixels.
        train, test: how many to train and to test on.
        mirror: whether small images are mirrored.
        validation: how many to choose among solvers by; a third of the training images is held out for them.
    """

    crop: Count
    train: Count
    test: Count
    mirror: bool = False
    validation: Annotated[int, Field(ge=0, le=1_000_000)] = 0

    def layout(self) -> Layout:
        """The same as a value of ``images``."""
        return Layout(self.crop, self.train, self.test, self.mirror, self.validation)


class ScheduleTable(_Table):
    """How the tolerance of ``certified(…)`` follows the progress of a training: see ``solvers.Schedule``."""

    first: Annotated[float, Field(gt=0, lt=1)] = 0.3
    last: Annotated[float, Field(gt=0, lt=1)] = 1e-2
    power: Annotated[float, Field(ge=0, le=10)] = 1.0

    def model_post_init(self, _: object) -> None:
        """Raise ``ValueError`` where ``last`` is above ``first``."""
        self.schedule()

    def schedule(self) -> ToleranceSchedule:
        """The same as a value of ``solvers``."""
        return ToleranceSchedule(self.first, self.last, self.power)


class TrainingTable(_Table):
    """Adam on all learnable parameters of the operator.

    Attributes:
        steps: how many; 0 for a profile that measures gradients and costs, and learns nothing.
        rate: learning rate of log-weights, log-steps and the like.
        network_rate: learning rate of the weights of a network.
        batch: crops in a step.
        clip: the largest norm of a gradient, which is scaled down to it; none by default.
        checkpoint: steps from one stored state to the next; 0 for none.
        look: steps from one look at the test images to the next; 0 for none.
        warm: start a crop where its last visit ended, from its second visit on; a step is timed from a cold start.
        schedule: the tolerance of ``certified(…)`` at each step, in place of its own, which stays that of images and
            timings; solvers without one do not mind. None by default.
    """

    steps: Annotated[int, Field(ge=0, le=1_000_000)]
    rate: Annotated[float, Field(gt=0, le=10)]
    batch: Count
    network_rate: Annotated[float, Field(gt=0, le=10)] = 1e-4
    clip: Annotated[float, Field(gt=0)] | None = None
    checkpoint: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    look: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    warm: bool = False
    schedule: ScheduleTable | None = None


class EquilibriumTable(_Table):
    """How the learned operator is run to its equilibrium, and past the trained depth.

    Attributes:
        tol: relative residual of the equilibrium.
        budget: applications at most until then.
        longest: applications at most of plain iteration past the trained depth, which goes up to 100 times it.
        training: training crops, the first ones, whose loss at the equilibrium is measured; all of them by default.
    """

    tol: Annotated[float, Field(gt=0, lt=1)]
    budget: Count
    longest: Count = 20_000
    training: Count | None = None


class OracleTable(_Table):
    """The reference gradient.

    Attributes:
        budget: applications at most, and vector-Jacobian products at most; 0 asks for none.
        draws: of the mask and the noise, on each of which errors of gradients are measured.
    """

    budget: Annotated[int, Field(ge=0, le=1_000_000)] = 3000
    draws: Annotated[int, Field(ge=1, le=1000)] = 1


class TimingTable(_Table):
    """Rounds of a paired timing, and the seconds after which no further round is begun."""

    rounds: Count
    seconds: Annotated[float, Field(gt=0, le=3600)]


class Block(_Table):
    """Further cells of a profile; what it does not say of them, and of how they are measured, is the profile's."""

    tasks: Annotated[list[str], Field(min_length=1)] | None = None
    solvers: Annotated[list[str], Field(min_length=1)] | None = None
    seeds: Annotated[list[Annotated[int, Field(ge=0, le=2**31)]], Field(min_length=1)] | None = None
    dtype: Literal["float32", "float64"] | None = None
    images: ImagesTable | None = None
    training: TrainingTable | None = None
    equilibrium: EquilibriumTable | None = None
    oracle: OracleTable | None = None
    timing: TimingTable | None = None
    step: ExecutionMode | None = None


class Profile(_Table):
    """A matrix of cells and how each is measured."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$")]
    summary: str
    tasks: Annotated[list[str], Field(min_length=1)]
    solvers: Annotated[list[str], Field(min_length=1)]
    seeds: Annotated[list[Annotated[int, Field(ge=0, le=2**31)]], Field(min_length=1)]
    dtype: Literal["float32", "float64"]
    threads: Annotated[int, Field(ge=1, le=256)]
    images: ImagesTable
    training: TrainingTable
    equilibrium: EquilibriumTable
    oracle: OracleTable = OracleTable()
    timing: TimingTable
    step: ExecutionMode = "eager"
    limit: Annotated[float, Field(ge=0, le=1e7)] = 0.0
    """Seconds that a cell may take; 0 for as long as it likes. It decides no result."""
    first: list[str] = []
    """Solvers that a run within a time measures before the others of their part; parts come as they are written."""
    also: list[Block] = []

    def parts(self) -> list[Profile]:
        """The profile without its blocks, then each block as a profile of its own."""
        said = ({k: v for k in Block.model_fields if (v := getattr(b, k)) is not None} for b in self.also)
        return [self.model_copy(update={"also": []} | given) for given in ({}, *said)]


def profile_names() -> list[str]:
    """The profiles that come with the project."""
    return sorted(file.stem for file in FOLDER.glob("*.toml"))
