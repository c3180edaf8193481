"""1.2 ``E(t) + ∫ α|θ′|² + β|∇L|² = E(0)`` for ``E = (1 + αβ) L + ½|v|²``, any smooth L, any α and β.

Derived: ``E′ = (1 + αβ)⟨g, v − βg⟩ − α|v|² − (1 − αβ)⟨v, g⟩ = −α|v − βg|² − β|g|²`` with ``g = ∇L`` and ``θ′ = v −
βg``. The integral is integrated as a further component of the system, so that RK4 has the same order for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from torch import Tensor

from ....engine import Evidence, Experiment, Measurement, at_most
from ..simulation import flows, network
from ..simulation.activations import TANH
from ..simulation.flows import Damping, Trajectory
from ..simulation.problem import gap, problem
from ..simulation.settings import Setting

N, WIDTH, HORIZON, STEP = 8, 64, 60.0, 0.1


@cache
def _path(setting: Setting) -> tuple[Damping, Trajectory]:
    of = problem(gap(N, 0.3, 0.5), setting.seed, setting.device)
    fit, z0 = network.two_layer(of, WIDTH, TANH, setting.seed + 1)
    pairs = [(a, b) for a in (0.0, 0.2, 0.8) for b in (0.0, 0.5, 2.0)]
    d = flows.damping_pairs([a for a, _ in pairs], [b for _, b in pairs], setting.device)
    return d, flows.inertial_flow(fit, z0, d, STEP, HORIZON)


def _worst(balance: Tensor) -> float:
    return float((balance / balance[0] - 1).abs().max())


def _measure(setting: Setting) -> Sequence[Measurement]:
    """A network of 64 units, whose J is far from constant, with three α by three β, 0 included."""
    _, path = _path(setting)
    # At rest with β = 0, E is the loss alone: this row would notice a loss that is not ½|r|².
    rest = path.energy[0, 0] - path.r[0, 0].square().sum() / 2
    return [
        at_most(
            "energy identity, largest relative error",
            _worst(path.energy + path.dissipated),
            1e-5,
            setting.seed,
        ),
        at_most("E(0) against ½|r0|² for β = 0", abs(float(rest)), 1e-12, setting.seed),
    ]


def _negative_control(setting: Setting) -> Sequence[Measurement]:
    """Claim the identity for the mechanical energy, without the factor (1 + αβ)."""
    d, path = _path(setting)
    r = path.r.square().sum(-1) / 2
    bare = path.energy - (d.alpha * d.beta)[:, 0] * r
    return [at_most("L + ½|v|² and what was dissipated", _worst(bare + path.dissipated), 1e-5, setting.seed)]


EXPERIMENT = Experiment(
    id="1.2",
    statement="E(t) + ∫ α|θ′|² + β|∇L|² = E(0), with E = (1 + αβ) L + ½|v|²",
    source="derived",
    assumptions="L smooth",
    evidence=Evidence.DERIVED,
    measure=_measure,
    negative_control=_negative_control,
    false_statement="L + ½|v|² alone is conserved with what is dissipated",
)
