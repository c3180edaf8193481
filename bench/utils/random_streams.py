"""Independent random streams, one for every seed, purpose and draw."""

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
"""``everything else`` seeds torch's global generator: initial weights of networks, for example."""


def stream_seed(seed: int, purpose: Purpose, draw: int = 0) -> int:
    """The seed of a stream, in [0, 2³²): torch's CPU generator uses no more bits.

    ``seed + k`` or ``2 * seed`` would be the stream of another seed, and two generators with equal seeds give the same
    numbers. numpy's ``SeedSequence`` mixes seed, draw and the digest of the purpose's name; so a new purpose changes
    no other stream.

    ``draw`` counts repetitions with one seed, from 0.
    """
    name = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "big")
    return int(np.random.SeedSequence(seed, spawn_key=(name, draw)).generate_state(1, np.uint32)[0])


def stream(seed: int, purpose: Purpose, draw: int = 0) -> torch.Generator:
    """A CPU generator with the seed ``stream_seed``."""
    return torch.Generator().manual_seed(stream_seed(seed, purpose, draw))
