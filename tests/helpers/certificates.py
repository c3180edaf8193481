"""A tiny study of certificates."""

from __future__ import annotations

from bench.studies.certificates.study import CertificateStudy

TINY = CertificateStudy(
    tasks=("denoising(huber)", "deblurring(l1)"),
    networks=(),
    solvers=("jfb(2)", "neumann(4, 3)", "deq(1e-06)"),
    rigorous=(1, 1),
    estimates=(1, 1),
    rtols=(1e-1, 1e-2),
    crop=32,
    grid=(1e-1, 1e-2, 1e-3),
    timed=("jfb(2)",),
    timed_tasks=("denoising(huber)",),
    timed_crop=32,
    rounds=3,
)
