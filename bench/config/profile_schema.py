"""Schema of a profile: the tables and keys that its TOML file may hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from solvers import ToleranceSchedule

from ..operators.compiled import ExecutionMode
from ..operators.splitting import FORWARD_BACKWARD
from ..tasks.images import Layout

FOLDER = Path(__file__).parent / "profiles"

RENAMED_PROFILES = {"cost": "gpu"}
"""Profiles that became part of another one."""

RENAMED_KEYS = {
    "training.rate": "training.learning_rate",
    "training.network_rate": "training.network_learning_rate",
    "training.look": "training.eval_every",
    "training.warm": "training.warm_start",
    "equilibrium.longest": "equilibrium.max_applications",
    "equilibrium.training": "equilibrium.train_images",
    "step": "execution",
    "limit": "timeout",
    "also": "blocks",
}
"""Old keys of a profile by dotted path, in the profile or in one of its blocks; stored records hold them too."""

Count = Annotated[int, Field(ge=1, le=1_000_000)]
CountOrZero = Annotated[int, Field(ge=0, le=1_000_000)]
Texts = Annotated[list[str], Field(min_length=1)]
Seeds = Annotated[list[Annotated[int, Field(ge=0, le=2**31)]], Field(min_length=1)]
Precision = Literal["float32", "float64"]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ImagesTable(_Table):
    """Crops of the images.

    Attributes:
        crop: side in pixels.
        train, test: number of crops to train and to test on.
        mirror: enlarge small images by mirroring them.
        validation: number of crops on which solvers are chosen; a third of the training images is held out for them.
    """

    crop: Count
    train: Count
    test: Count
    mirror: bool = False
    validation: CountOrZero = 0

    def layout(self) -> Layout:
        """Convert to the type that ``bench.tasks.images`` takes."""
        return Layout(self.crop, self.train, self.test, self.mirror, self.validation)


class ScheduleTable(_Table):
    """Tolerance of ``certified(…)`` during training: see ``solvers.ToleranceSchedule``."""

    first: Annotated[float, Field(gt=0, lt=1)] = 0.3
    last: Annotated[float, Field(gt=0, lt=1)] = 1e-2
    power: Annotated[float, Field(ge=0, le=10)] = 1.0

    def model_post_init(self, _: object) -> None:
        """Raise ``ValueError`` if ``last`` is above ``first``."""
        self.schedule()

    def schedule(self) -> ToleranceSchedule:
        """Convert to the type that ``solvers`` takes."""
        return ToleranceSchedule(self.first, self.last, self.power)


class TrainingTable(_Table):
    """Training of all learnable parameters of the operator with Adam.

    Attributes:
        steps: training steps; 0 measures gradients and costs only.
        learning_rate: of log-weights, log-steps and all other parameters outside networks.
        network_learning_rate: of the weights of networks.
        batch: crops in a training step.
        clip: largest norm of a gradient; larger gradients are scaled down to it. Not clipped by default.
        checkpoint: store the state of the training every so many steps; 0 for never.
        eval_every: evaluate on the test images every so many steps; 0 for never.
        warm_start: from its second visit on, start each crop at the fixed point of its last visit, and its adjoint
            solve at the last adjoint. Timings of a step start cold.
        schedule: tolerance of ``certified(…)`` by training step; images and timings use the solver's own. Solvers
            without such a tolerance ignore it. None by default.
    """

    steps: CountOrZero
    learning_rate: Annotated[float, Field(gt=0, le=10)]
    batch: Count
    network_learning_rate: Annotated[float, Field(gt=0, le=10)] = 1e-4
    clip: Annotated[float, Field(gt=0)] | None = None
    checkpoint: CountOrZero = 0
    eval_every: CountOrZero = 0
    warm_start: bool = False
    schedule: ScheduleTable | None = None


class EquilibriumTable(_Table):
    """Iteration of the learned operator to its equilibrium, and past the depth at which it was trained.

    Attributes:
        tol: relative residual at the equilibrium.
        budget: largest number of applications to reach the equilibrium.
        max_applications: largest number of plain iterations past the trained depth, which stop at 100 times that depth.
        train_images: measure the loss at the equilibrium on the first so many training crops; on all by default.
    """

    tol: Annotated[float, Field(gt=0, lt=1)]
    budget: Count
    max_applications: Count = 20_000
    train_images: Count | None = None


class OracleTable(_Table):
    """The reference gradient.

    Attributes:
        budget: largest number of applications, and of vector-Jacobian products; 0 computes no reference.
        draws: draws of the mask and the noise on which errors of gradients are measured.
    """

    budget: CountOrZero = 3000
    draws: Annotated[int, Field(ge=1, le=1000)] = 1


class TimingTable(_Table):
    """Rounds of a paired timing, and the seconds after which no further round begins."""

    rounds: Count
    seconds: Annotated[float, Field(gt=0, le=3600)]


class Block(_Table):
    """Further cells of a profile. A key that is left out has the value of the profile."""

    tasks: Texts | None = None
    operators: Texts | None = None
    solvers: Texts | None = None
    seeds: Seeds | None = None
    dtype: Precision | None = None
    images: ImagesTable | None = None
    training: TrainingTable | None = None
    equilibrium: EquilibriumTable | None = None
    oracle: OracleTable | None = None
    timing: TimingTable | None = None
    execution: ExecutionMode | None = None


class Profile(_Table):
    """Cells, and how each is measured.

    Attributes:
        name, summary: shown in tables and lists.
        tasks, operators, solvers, seeds: every combination is a cell; those that an operator or a solver does not admit
            are left out.
        dtype, threads: precision, and threads of torch in the process of a cell.
        images, training, equilibrium, oracle, timing: see the classes of these tables.
        execution: how operators are applied: eager, compiled, or as CUDA graphs.
        timeout: seconds that a cell may take; 0 for no limit. It does not change results.
        first: solvers that a run with ``--within`` measures first in each part.
        blocks: further cells with other settings. The profile without its blocks, and each block, is a part.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$")]
    summary: str
    tasks: Texts
    solvers: Texts
    seeds: Seeds
    dtype: Precision
    threads: Annotated[int, Field(ge=1, le=256)]
    images: ImagesTable
    training: TrainingTable
    equilibrium: EquilibriumTable
    oracle: OracleTable = OracleTable()
    timing: TimingTable
    execution: ExecutionMode = "eager"
    timeout: Annotated[float, Field(ge=0, le=1e7)] = 0.0
    operators: Texts = [FORWARD_BACKWARD]
    first: list[str] = []
    blocks: list[Block] = []

    @property
    def batch_size(self) -> int:
        """Crops in a training step: ``training.batch``, or all training crops if there are fewer."""
        return min(self.training.batch, self.images.train)

    def parts(self) -> list[Profile]:
        """The profile without its blocks, then each block as a profile."""
        changes = (
            {k: v for k in Block.model_fields if (v := getattr(b, k)) is not None} for b in self.blocks
        )
        return [self.model_copy(update={"blocks": []} | change) for change in ({}, *changes)]


def with_new_keys(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a stored record under the present keys of a profile; see ``RENAMED_KEYS``."""
    renamed = {k: dict(v) if isinstance(v, dict) else v for k, v in settings.items()}
    for old, new in RENAMED_KEYS.items():
        table, _, key = old.rpartition(".")
        inner = renamed.get(table) if table else renamed
        if isinstance(inner, dict) and key in inner:
            inner[new.rpartition(".")[2]] = inner.pop(key)
    return renamed


def profile_names() -> list[str]:
    """Names of the profiles that come with the project."""
    return sorted(file.stem for file in FOLDER.glob("*.toml"))
