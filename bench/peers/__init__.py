"""Peers: the gradients of deepinv and torchdeq behind the signature of our own solvers.

torchdeq belongs to the dependency group ``peers``; without it everything here is imported all the same, and its calls
say what to install.
"""

from __future__ import annotations

from collections.abc import Callable

from ._peer import Peer, PeerSolution
from .deepinv import DeepInverse, deepinv_anderson, deepinv_deq, deepinv_jfb, deepinv_unfolded
from .torchdeq import TorchDEQ, torchdeq_anderson, torchdeq_broyden, torchdeq_ift, torchdeq_phantom

PEERS: dict[str, Callable[..., Peer]] = {
    "deepinv_unfolded": deepinv_unfolded,
    "deepinv_jfb": deepinv_jfb,
    "deepinv_deq": deepinv_deq,
    "deepinv_anderson": deepinv_anderson,
    "torchdeq_phantom": torchdeq_phantom,
    "torchdeq_ift": torchdeq_ift,
    "torchdeq_anderson": torchdeq_anderson,
    "torchdeq_broyden": torchdeq_broyden,
}
"""Factories by name, for ``bench.calls.parse``."""

__all__ = [
    "PEERS",
    "DeepInverse",
    "Peer",
    "PeerSolution",
    "TorchDEQ",
    "deepinv_anderson",
    "deepinv_deq",
    "deepinv_jfb",
    "deepinv_unfolded",
    "torchdeq_anderson",
    "torchdeq_broyden",
    "torchdeq_ift",
    "torchdeq_phantom",
]
