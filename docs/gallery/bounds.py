"""Bounds in CI

`theory_checks` checks the claims of the theory on an operator and the constants that its author states. The
first statement here is true: `½ tanh(0.9 x)` has the Lipschitz constant 0.45. The second, 0.30, is wrong,
and claims notice it. In CI, each claim is a test of pytest ([how](../ci.md)).
"""

import torch
from matplotlib import pyplot as plt

from theory_checks.operators import UserOperator, check_operator_claims
from theory_checks.operators.user_operator import operator_case


class Step(torch.nn.Module):
    """``x -> 0.5 tanh(g x) + b``: a contraction with L = 0.45 at g = 0.9."""

    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(0.9, dtype=torch.float64))
        self.bias = torch.nn.Parameter(torch.linspace(-1, 1, 16, dtype=torch.float64).view(4, 4))

    def forward(self, x):
        return 0.5 * torch.tanh(self.gain * x) + self.bias


figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
step = Step()
x, iterates = torch.zeros(4, 4, dtype=torch.float64), []
for _ in range(60):
    iterates.append(x)
    x = step(x).detach()
distances = [float((iterate - x).norm()) for iterate in iterates[:21]]
for L, ax in zip((0.45, 0.30), axes, strict=True):
    operator = UserOperator(step, iterates[0], L=L)
    checks = check_operator_claims(*operator_case(operator, "contraction.py:make"))
    for verdict in ("holds", "FAILS"):
        print(f"L = {L:.2f}, {verdict}:", *(check.claim for check in checks if check.verdict == verdict))
    ax.semilogy(distances, "o", markersize=4, label="distance to the fixed point")
    ax.semilogy([L**k * distances[0] for k in range(21)], color="tab:red", label="bound with the stated L")
    ax.set(title=f"L = {L:.2f} is stated", xlabel="iterations", xticks=range(0, 21, 5))
print("why:", next(check.reason for check in checks if check.verdict == "FAILS"))
axes[0].legend()
figure.savefig("bounds.png", dpi=130, bbox_inches="tight")
