"""The synthesis of a penalty: how the image is read off the state on which the penalty is given."""

from __future__ import annotations

from torch import Tensor, nn


class Synthesis(nn.Module):
    """The linear map S from states s to images ``S s``; by default the identity."""

    learns_synthesis: bool = False
    """Whether S has parameters."""
    reads_parameters_on_host: bool = False
    """Whether an iteration reads a number of the parameters on the CPU, e.g. for ``‖S‖``."""

    @property
    def states_are_images(self) -> bool:
        """Whether S is the identity; ``range`` is ``(1, 1)`` for any orthonormal S."""
        return type(self).image is Synthesis.image

    def image(self, state: Tensor) -> Tensor:
        """``S s``."""
        return state

    def synthesis_adjoint(self, image: Tensor) -> Tensor:
        """``Sᵀ x``."""
        return image

    def range(self) -> tuple[float, float]:
        """Smallest and largest eigenvalue of ``SᵀS``, with the present parameters."""
        return 1.0, 1.0

    def grey(self) -> Tensor | float:
        """The state of mid-grey, at which a ridge is centred."""
        return 0.5
