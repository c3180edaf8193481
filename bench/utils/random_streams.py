"""Random streams that share nothing: one for every seed, purpose and draw."""

from __future__ import annotations

import hashlib
from typing import Literal, TypeAlias

import numpy as np
import torch

Purpose: TypeAlias = Literal[
    "masks",
    "training crops",
    "validation crops",
    "test crops",
    "training noise",
    "validation noise",
    "test noise",
    "order of batches",
    "everything else",
]
"""What is drawn. ``everything else`` is torch's own generator: weights that a network begins with, and the like."""


def stream_seed(seed: int, purpose: Purpose, draw: int = 0) -> int:
    """The seed of a stream, in [0, 2³²): torch's CPU generator looks at no more bits of a seed.

    ``seed + k`` or ``2 * seed`` is no stream of its own: it is that of another seed, and two generators with one seed
    give the same numbers, uniform or normal. numpy's ``SeedSequence`` mixes the seed, the draw, and the digest of the
    purpose's name, so that a new purpose moves no other.

    Args:
        seed: of a cell; a whole number from 0.
        purpose: what is drawn.
        draw: how often it was drawn before with this seed.
    """
    name = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "big")
    (found,) = np.random.SeedSequence(seed, spawn_key=(name, draw)).generate_state(1, np.uint32)
    return int(found)


def stream(seed: int, purpose: Purpose, draw: int = 0) -> torch.Generator:
    """A generator on the CPU, of ``stream_seed``."""
    return torch.Generator().manual_seed(stream_seed(seed, purpose, draw))
