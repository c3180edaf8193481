"""Check claims on real operators: those of a user, those of the benchmark, and other libraries' gradients."""

from .operator_claims import OperatorCheck, check_operator_claims
from .user_operator import UserOperator, load_operator

__all__ = ["OperatorCheck", "UserOperator", "check_operator_claims", "load_operator"]
