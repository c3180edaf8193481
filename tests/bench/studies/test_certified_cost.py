import pytest

from bench.operators import forward_backward, peaceman_rachford
from bench.studies import certified_cost
from bench.studies.certified_cost import EXACT, best_pair, compare, gradient_of, line
from bench.tasks.images import find_images


@pytest.mark.parametrize(
    ("operator", "most"),
    [(forward_backward(), 1.9), (peaceman_rachford(), 1.95)],
    ids=lambda case: str(case)[:20],
)
def test_certified_costs_little_more_than_the_best_tolerances(operator, most):
    """1.80 and 1.89 times the products of the cheapest pair of tolerances of the grid."""
    row = compare("deblurring(huber)", operator, find_images(), 1e-2)
    assert row.error <= row.bound <= 1e-2
    assert row.pair_error <= 1e-2
    assert row.ratio <= most
    assert f"{row.ratio:.2f}" in line(row)


def test_the_best_pair_is_the_cheapest_of_the_grid(quick_problem):
    exact, _ = gradient_of(EXACT, quick_problem)
    forward, adjoint = (1e-3, 1e-5), (1e-1, 1e-3, 1e-5)
    label, work, error = best_pair(quick_problem, exact, 1e-2, forward, adjoint, (30,))
    tried = {}
    for a in forward:
        for b in adjoint:
            one, cost, its_error = best_pair(quick_problem, exact, 1e-2, (a,), (b,), (30,))
            if one:
                tried[one] = (cost, its_error)
    assert label
    assert error <= 1e-2
    assert work == min(cost for cost, _ in tried.values())
    assert tried[label] == (work, error)


@pytest.fixture
def quick_problem():
    parsed = certified_cost.parse_task("deblurring(huber)")
    return certified_cost.build_problem(
        parsed, find_images(), certified_cost.Layout(32, 1, 1), 0, dtype=certified_cost.torch.float64
    )
