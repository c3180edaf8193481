"""Works on what learned solvers and random networks compute, and how they are trained."""

from __future__ import annotations

from .entry import Entry

THEORIES = (
    Entry(
        key="buskulic2025implicit",
        kind="misc",
        author="Buskulic, Nathan and Fadili, Jalal and Quéau, Yvain",
        title="Implicit Regularization of the Deep Inverse Prior Trained with Inertia",
        year=2025,
        eprint="2506.02986",
    ),
    Entry(
        key="buskulic2023convergence",
        kind="misc",
        author="Buskulic, Nathan and Fadili, Jalal and Quéau, Yvain",
        title="Convergence and Recovery Guarantees of Unsupervised Neural Networks for Inverse Problems",
        year=2023,
        eprint="2309.12128",
    ),
    Entry(
        key="maulensoto2024inertial",
        kind="misc",
        author="Maulen-Soto, Rodrigo and Fadili, Jalal and Ochs, Peter",
        title="Inertial Methods with Viscous and Hessian driven Damping for Non-Convex Optimization",
        year=2024,
        eprint="2407.12518",
    ),
    Entry(
        key="nguyen2026analytic",
        kind="misc",
        author="Nguyen, Minh-Hai and Do, Quoc-Bao and Pauwels, Edouard and Weiss, Pierre",
        title="An analytic theory of convolutional neural network inverse problems solvers",
        year=2026,
        eprint="2601.10334",
    ),
    Entry(
        key="dinverno2025revisiting",
        kind="misc",
        author="D'Inverno, Giuseppe Alessio and Hu, Zhiyuan and Davy, Leo and Unser, Michael and "
        "Rozza, Gianluigi and Dong, Jonathan",
        title="Revisiting Deep Information Propagation: Fractal Frontier and Finite-size Effects",
        year=2025,
        eprint="2508.03222",
    ),
)
