"""The claims of THEORY, one a file."""

# ruff: noqa: F401

from ..engine.claim import Claim
from .c01_implicit_gradient import CLAIM as C1
from .c02_composition import CLAIM as C2
from .c03_neumann import CLAIM as C3
from .c04_jfb_error import CLAIM as C4
from .c05_descent import CLAIM as C5
from .c06_restarted_error import CLAIM as C6
from .c07_trajectory import CLAIM as C7
from .c08_inexact import CLAIM as C8
from .c09_forward_backward import CLAIM as C9
from .c10_firm_nonexpansive import CLAIM as C10
from .c11_separable import CLAIM as C11
from .c12_learning import CLAIM as C12
from .c13_certificate import CLAIM as C13
from .c14_damping import CLAIM as C14
from .c15_conjugate_gradients import CLAIM as C15
from .c16_plug_and_play import CLAIM as C16
from .c17_outside import CLAIM as C17
from .c18_truncated_backpropagation import CLAIM as C18
from .c19_invariances import CLAIM as C19
from .c20_step_size import CLAIM as C20
from .c21_interpolation import CLAIM as C21
from .c22_momentum import CLAIM as C22
from .c23_memory import CLAIM as C23
from .c24_look_ahead import CLAIM as C24
from .c25_local_certificate import CLAIM as C25
from .c26_audit import CLAIM as C26
from .c27_certified import CLAIM as C27
from .c28_residuals import CLAIM as C28
from .c29_counts import CLAIM as C29
from .c30_samples import CLAIM as C30
from .c31_memory import CLAIM as C31
from .c32_krylov import CLAIM as C32
from .c33_consequences import CLAIM as C33
from .c34_monitor import CLAIM as C34
from .c35_estimates import CLAIM as C35
from .c36_single import CLAIM as C36
from .c37_splittings import CLAIM as C37
from .c38_averaged_reflections import CLAIM as C38
from .c39_best_gamma import CLAIM as C39
from .c40_recorded_layers import CLAIM as C40
from .c41_plug_and_play_splitting import CLAIM as C41
from .c42_gamma_at_depth import CLAIM as C42
from .c43_primal_dual_factor import CLAIM as C43
from .c44_loss_enclosure import CLAIM as C44
from .c45_ridge_bounds import CLAIM as C45
from .c46_ridge_gain import CLAIM as C46
from .c47_ridge_displacement import CLAIM as C47
from .c48_random_truncation import CLAIM as C48

# Each claim is listed once, in its import above. The imports are written by hand; a test compares them with the folder.
CLAIMS: dict[str, Claim] = {value.id: value for value in list(globals().values()) if isinstance(value, Claim)}
"""Every claim by its id, in order."""

__all__ = ["CLAIMS"]
