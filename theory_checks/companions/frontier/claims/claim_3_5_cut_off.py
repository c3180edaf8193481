"""3.5: at a fixed depth the frontier is smooth when looked at closely enough.

Layers are analytic, so ``L^(D)`` is analytic in (σ_w, σ_b), and where its gradient does not vanish the level τ is a
smooth curve. "Fractal" is about D → ∞: in a fixed window the dimension grows with D, and at a fixed D it falls to 1
in windows that shrink. Asserted: the median over seeds is monotone over D = 100, 200, 400 and below 1.2 at D = 100
(here for all three architectures); signs at D = 100 are not noise (3.4); and in float64 every network of depth 100 has
dimension 1 ± .1 after five zooms by 8.

Below 1.2 is a statement on medians: over 12 further seeds they were 1.19 (MLP), 1.14 (structured), 1.17
(convolutional), and single networks had up to 1.37.

Mark: derived. Source: the specification; the zooms were added here.
"""

from __future__ import annotations

from ....experiment import Experiment, Mark, Row, at_least, at_most, near, reported
from ..simulation import landscapes, zooms
from ..simulation.networks import Architecture
from ..simulation.settings import ALL, Setting


def medians(at: Setting, architecture: Architecture) -> list[float]:
    """Of the dimension over seeds, at each depth."""
    return [landscapes.median(landscapes.dimensions(at, architecture, depth)) for depth in at.depths]


def _depths(at: Setting, architecture: Architecture) -> list[Row]:
    found = medians(at, architecture)
    rows = [at_most(f"median dimension, {architecture.value}, D={at.depths[0]}", found[0], 1.2)]
    for i in range(1, len(found)):
        name = f"dimension, {architecture.value}, D={at.depths[i]} − D={at.depths[i - 1]}"
        rows.append(at_least(name, found[i] - found[i - 1], 0.0))
    return rows


def _resolved(at: Setting, architecture: Architecture) -> list[Row]:
    """Signs of neighbours belong together where the frontier is resolved; those of noise never do."""
    shallow = [landscapes.single(at, architecture, seed)[0] for seed in at.seeds]
    return [
        at_most(
            f"dimension by resolution, {architecture.value}, D={at.depths[0]}",
            landscapes.refinement(at, f),
            1.9,
            seed,
        )
        for seed, f in zip(at.seeds, shallow, strict=True)
    ]


def _zooms(at: Setting, architecture: Architecture) -> list[Row]:
    rows = []
    for depth in at.zoom_depths:
        for seed in at.zoom_seeds:
            last = zooms.ladder(at, architecture, depth, seed)[-1]
            name = f"dimension, {architecture.value}, D={depth}, zoom ×{last.zoom:,}"
            exact = depth == at.zoom_depths[0]
            rows.append(
                near(name, last.dimension, 1.0, 0.1, seed) if exact else reported(name, last.dimension, seed)
            )
    return rows


def measure(at: Setting) -> list[Row]:
    """Dimension over depth, and at the end of the ladder of zooms."""
    rows = [row for a in ALL for row in (*_depths(at, a), *_resolved(at, a))]
    return rows + [row for a in (Architecture.MLP, Architecture.CONV) for row in _zooms(at, a)]


def too_strong(at: Setting) -> list[Row]:
    """The dimension of the deepest network, at every depth."""
    return [
        at_least(f"median dimension, {a.value}, D={at.depths[0]}", medians(at, a)[0], 1.3)
        for a in (Architecture.MLP, Architecture.STRUCTURED)
    ]


EXPERIMENT = Experiment(
    id="3.5",
    statement="D_f grows with D over 100, 200, 400, is below 1.2 at D = 100, and falls to 1 under zoom at fixed D",
    source="derived: erf is analytic",
    assumptions="a fixed window and N = 30; zooms in float64 down to 1e-5",
    mark=Mark.DERIVED,
    measure=measure,
    too_strong=too_strong,
    twin="the dimension is at least 1.3 at D = 100 too",
)
