"""One iteration of an algorithm of deepinv as an operator ``(x, y, physics) -> x``.

deepinv is not imported: its algorithms are known by the attributes that they have had since deepinv 0.4.
"""

from __future__ import annotations

import copy
from collections.abc import Sized
from typing import Any, cast

from torch import Tensor, nn

from ._core.input_checks import type_name

NEEDED = ("fixed_point", "init_iterate_fn", "prior", "data_fidelity")


class OptimOperator(nn.Module):
    """The iteration of ``PGD(…, unfold=True)`` and of its like; its parameters are those of the algorithm.

    Settings of deepinv's own solver (``max_iter``, ``thres_conv``, ``DEQ``, ``anderson_acceleration``) are of no use
    here: the solver of the ``Reconstructor`` is in its place. No cost is computed.

    Args:
        optim: a ``deepinv.optim.BaseOptim`` whose iteration maps an image to the next, as ``PGD``, ``HQS`` and ``GD``.

    Raises:
        TypeError: it is no such algorithm; in a call, its iteration needs more than the image.
        ValueError: it was made without ``unfold=True``, so its parameters could not be learned; its step is found by
            backtracking; or a parameter, prior or data fidelity differs between iterations, so that there is no map.
    """

    def __init__(self, optim: nn.Module) -> None:
        super().__init__()
        if not isinstance(optim, nn.Module) or any(not hasattr(optim, name) for name in NEEDED):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"optim must be an algorithm of deepinv such as PGD(…), not {type_name(optim)}")
        name = type(optim).__name__
        if not (getattr(optim, "unfold", False) or getattr(optim, "DEQ", False)):
            raise ValueError(f"{name} must be made with unfold=True: nothing of it is trainable otherwise")
        if getattr(optim, "backtracking", None):
            raise ValueError(
                f"{name} must be made without backtracking: it changes the step of the iteration"
            )
        parts = {"prior": optim.prior, "data_fidelity": optim.data_fidelity}
        parameters = cast("dict[str, Sized]", getattr(optim, "params_algo"))  # noqa: B009
        for part, values in (*parts.items(), *parameters.items()):
            if len(cast("Sized", values)) > 1:
                raise ValueError(
                    f"{part} of {name} has {len(cast('Sized', values))} values, one an iteration: an equilibrium "
                    "needs one for all"
                )
        self.optim = optim

    def forward(self, x: Tensor, y: Tensor, physics: Any) -> Tensor:
        """The next image, ``(B, C, H, W)``."""
        optim = cast("Any", self.optim)
        iterator = copy.copy(optim.fixed_point.iterator)
        iterator.has_cost = False
        terms = optim.update_data_fidelity_fn(0), optim.update_prior_fn(0), optim.update_params_fn(0)
        try:
            following = iterator({"est": (x,), "cost": None}, *terms, y, physics)
        except (IndexError, ValueError) as error:
            if isinstance(error, ValueError) and "not enough values to unpack" not in str(error):
                raise
            raise TypeError(
                f"an iteration of {type(optim).__name__} needs more than the image: take PGD, HQS or GD"
            ) from error
        return following["est"][0]

    def first_guess(self, y: Tensor, physics: Any) -> Tensor:
        """The image that the algorithm starts from, of its ``custom_init`` if it has one."""
        return cast("Any", self.optim).init_iterate_fn(y, physics)["est"][0]
