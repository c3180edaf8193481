"""C42. The best γ at a depth K, and its limit.

Errors that are spread evenly over the n eigenvectors of f shrink by ``s_K(γ) = ‖R_f^K‖_F/√n``, the root mean square of
``|(1 − γλ)/(1 + γλ)|^K``, in K reflections. ``best_gamma_at_depth`` minimises it: ``s_K(γ_K) ≤ s_K(γ)`` for every γ;
and

    δ(γ_K) ≤ n^{1/(2K)} δ*,   so that   |log(γ_K/γ*)| ≤ 2 (artanh(n^{1/(2K)} δ*) − artanh δ*) → 0   as K → ∞.

*Proof.* One eigenvector of n has ``δ(γ)^K``, and none has more: ``δ(γ_K)^K/√n ≤ s_K(γ_K) ≤ s_K(γ*) ≤ δ*^K``. With
``ϱ = n^{1/(2K)} δ* < 1``, ``δ(γ) ≤ ϱ`` reads ``γσ ≥ (1 − ϱ)/(1 + ϱ)`` and ``γβ ≤ (1 + ϱ)/(1 − ϱ)``; for γ* both are
equalities with δ*, and ``log((1 + ϱ)/(1 − ϱ)) = 2 artanh ϱ``.

``s_K`` is measured on photographs: the operators' reflection is applied K times to all n unit images. Spectra of a few
clusters, on which ``s_K`` has several local minima, are dense.

Source: PROOFS C42.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from bench.operators import data_fidelity
from bench.operators.douglas_rachford import best_gamma, best_gamma_at_depth, reflection_factor
from bench.operators.normal import SpectralNormal

from ..engine import Claim, Sides, conjunction
from ..instances.splittings import reflection
from ..instances.variational import SIDE, Acquisition, acquire, acquisitions


@dataclass(frozen=True, slots=True)
class Photographed:
    """f of a photograph's measurement, with a ridge."""

    acquisition: Acquisition
    ridge: float

    def curvatures(self) -> Tensor:
        """The eigenvalues of ``∇²f``, as often as they occur."""
        data = acquire(self.acquisition)
        N = data_fidelity(data.y, data.physics).normal
        assert isinstance(N, SpectralNormal), "these physics have known singular values"
        return N.eigenvalues() + self.ridge

    def mean_factor(self, gamma: float, depth: int) -> float:
        """``s_K(γ)``, from the reflections of all unit images."""
        data, channels = acquire(self.acquisition), self.acquisition.channels
        n = channels * SIDE**2
        reflect = reflection(data, self.ridge, gamma)
        images = torch.eye(n, dtype=torch.float64).view(n, channels, SIDE, SIDE)
        images, zero = torch.cat((images, torch.zeros_like(images[:1]))), slice(n, None)
        for _ in range(depth):
            images = reflect(images)
        return float((images[:n] - images[zero]).norm()) / math.sqrt(n)


@dataclass(frozen=True, slots=True)
class Clustered:
    """A quadratic f with curvatures ``values``, each ``counts`` times."""

    values: tuple[float, ...]
    counts: tuple[int, ...]

    def curvatures(self) -> Tensor:
        """The eigenvalues of ``∇²f``, as often as they occur."""
        values = torch.tensor(self.values, dtype=torch.float64)
        return values.repeat_interleave(torch.tensor(self.counts))

    def mean_factor(self, gamma: float, depth: int) -> float:
        """``s_K(γ)``."""
        scaled = gamma * self.curvatures()
        return float(((1 - scaled) / (1 + scaled)).abs().pow(depth).square().mean().sqrt())


Quadratic = Photographed | Clustered


@functools.lru_cache(maxsize=256)
def chosen_gamma(f: Quadratic, depth: int) -> float:
    """γ_K."""
    return best_gamma_at_depth(f.curvatures(), depth)


def _extremes(f: Quadratic) -> tuple[float, float]:
    values = f.curvatures()
    return float(values.min()), float(values.max())


def near_best(f: Quadratic, depth: int, growth: float) -> Sides:
    """``δ(γ_K) ≤ growth · δ*``."""
    extremes = _extremes(f)
    best = reflection_factor(extremes, best_gamma(extremes))
    return Sides(reflection_factor(extremes, chosen_gamma(f, depth)), growth * best, 1.0)


def rival_gamma(f: Quadratic, depth: int) -> float:
    """The best of γ* and 200 others between 1/β and 1/σ, by the formula of ``s_K``."""
    sigma, beta = _extremes(f)
    gammas = [best_gamma((sigma, beta)), *torch.logspace(0, 1, 200, sigma / beta).div(sigma).tolist()]
    scaled = torch.tensor(gammas, dtype=torch.float64)[:, None] * f.curvatures()
    sizes = ((1 - scaled) / (1 + scaled)).abs().pow(depth).square().mean(1)
    return gammas[int(sizes.argmin())]


def _sides(f: Quadratic, depth: int) -> Sides:
    chosen, rival = (f.mean_factor(gamma, depth) for gamma in (chosen_gamma(f, depth), rival_gamma(f, depth)))
    n = len(f.curvatures())
    # For A = I both factors are rounding.
    return conjunction(Sides(chosen, rival, rival + 1e-6), near_best(f, depth, n ** (1 / (2 * depth))))


clusters = st.one_of(
    st.builds(
        Clustered,
        st.sampled_from(((0.001, 0.011, 1.0), (0.001, 0.19, 1.0), (0.001, 0.004, 1.0), (0.02, 0.1, 1.0))),
        st.sampled_from(((1, 5, 13), (28, 16, 3), (19, 19, 60), (5, 24, 58), (10, 1, 10))),
    ),
    st.builds(
        Clustered, st.sampled_from(((0.02, 1.02), (0.5, 1.5))), st.sampled_from(((1, 1), (9, 1), (1, 30)))
    ),
)
photographed = st.builds(Photographed, acquisitions(), st.sampled_from((0.5, 0.1, 0.02)))

CLAIM = Claim(
    id="C42",
    statement="s_K(γ_K) ≤ s_K(γ) = ‖R_f^K‖_F/√n for every γ, and δ(γ_K) ≤ n^(1/(2K)) δ*, so γ_K → γ*",
    source="PROOFS C42",
    assumptions="f quadratic, σ > 0",
    examples=st.tuples(
        st.one_of(photographed, clusters),
        st.sampled_from((1, 2, 3, 5, 10, 30)),
    ),
    sides=_sides,
    negative_control=lambda f, depth: near_best(f, depth, 1.0),
    false_statement="δ(γ_K) ≤ δ*",
    # The minimum is flat: its γ is found to 1e-5, and its value to the square of that.
    rounding=1e-8,
)
