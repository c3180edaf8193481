"""Small profiles, as text."""

from __future__ import annotations

TINY = """
name = "tiny"
summary = "for the tests"
tasks = ["denoising(huber)", "denoising(l1)"]
solvers = ["unrolled(2)", "restarted_jfb(2, 3)", "deq(1e-08)"]
seeds = [0, 1]
dtype = "float64"
threads = 1
[images]
crop = 32
train = 2
test = 2
validation = 1
[training]
steps = 3
learning_rate = 0.2
batch = 1
[equilibrium]
tol = 1e-6
budget = 300
[timing]
rounds = 3
seconds = 0.2
"""
FEW = (
    TINY.replace('"tiny"', '"few"')
    .replace(', "denoising(l1)"', "")
    .replace(', "deq(1e-08)"', "")
    .replace("budget = 300", "budget = 300\nmax_applications = 100\n[oracle]\nbudget = 0")
)
PROFILE = """
name = "resilience"
summary = "Cells of a few tens of milliseconds, to be killed."
tasks = ["denoising(l1)", "deblurring(l1)"]
solvers = ["unrolled(1)", "jfb(2)", "neumann(1, 1)"]
seeds = [0, 1]
dtype = "float64"
threads = 1
images = { crop = 32, train = 2, test = 1 }
training = { steps = 0, learning_rate = 0.2, batch = 1 }
equilibrium = { tol = 1e-2, budget = 3, max_applications = 3 }
oracle = { budget = 100 }
timing = { rounds = 2, seconds = 0.01 }
[[blocks]]
solvers = ["deq(0.01)"]
training = { steps = 2, learning_rate = 0.2, batch = 1, checkpoint = 1 }
"""
