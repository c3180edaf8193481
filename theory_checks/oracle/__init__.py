"""An independent oracle: gradients of tiny reconstruction problems by differentiating a cone programme.

The optimality conditions of the cone programme are differentiated (Agrawal et al., arXiv 1904.09043, 1910.12430). That
shares neither T, nor its iteration, nor its derivatives with the reference gradient of the benchmark.
"""

from .check import AGREES, OracleCheck, check_against_cone_programmes
from .cone_programme import ConeProgramme, cone_programme

__all__ = ["AGREES", "ConeProgramme", "OracleCheck", "check_against_cone_programmes", "cone_programme"]
