"""A CUDA device emulated on the CPU, and the tests of this project's operators, solvers and cells on it.

Values are computed on the CPU; what is emulated is the rest of a device: that its tensors are refused beside those of
the CPU, which operations make the host wait, which upload, and which are not deterministic.
``python -m tests.emulated`` prints counts of these for operators and solvers.

* ``counts``: launches, waits and uploads, each with the line of this project that caused it;
* ``rules``: what CUDA refuses, and what an operation costs;
* ``device``: the tensors;
* ``cuda``: what ``torch.cuda`` answers, and the context in which ``device="cuda"`` means this device;
* ``cases``: the tasks and solvers of the tests and the table;
* ``table``: the counts as a table.
"""
