"""The command ``certify``."""

from __future__ import annotations

from typing import Annotated

import typer

from ..utils.console import print_frame
from ..utils.terminal import printed_json, stdout_to_stderr
from .options import Device, Images, Json, OperatorCall, Seed, SizesOf, SolverCall, TaskCall


def certify(
    task: TaskCall,
    solver: SolverCall,
    operator: OperatorCall = None,
    seed: Seed = 0,
    profile: SizesOf = "quick",
    images: Images = None,
    device: Device = "auto",
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Estimate the constants of T, even if the task states bounds.")
    ] = False,
    audit: Annotated[
        bool, typer.Option("--audit/--no-audit", help="Compare with a better gradient, which is certified.")
    ] = True,
    sharp: Annotated[
        float,
        typer.Option(
            min=1e-6, max=1, help="Error of the better gradient, as a part of its distance to this one."
        ),
    ] = 0.1,
    oracle: Annotated[
        bool, typer.Option("--oracle/--no-oracle", help="Compare with the float64 reference gradient too.")
    ] = False,
    json: Json = False,
) -> None:
    """Bound the error of one gradient; store nothing.

    The gradient is that of the initial parameters, on the first batch of the profile.

    \b
    python -m bench certify --task 'deblurring(huber)' --solver 'restarted_jfb(10, 10)'
    """
    from ..config.matrix import load_profile, parse_user_cell
    from ..execution.preparation import images_for
    from ..studies.certificates.certify import CertifyOptions, certificate_json, examine, to_frame
    from ..utils.device import pick_device

    chosen = load_profile(profile)
    options = CertifyOptions(estimate, audit, oracle, sharp)
    with stdout_to_stderr():
        one = parse_user_cell(task, solver, seed, operator=operator)
        where = pick_device(device)
        certificate = examine(one, chosen, images_for([(chosen, [one])], images), where, options)
    if json:
        print(printed_json(certificate_json(certificate, one, options)))  # noqa: T201
    else:
        print_frame(to_frame(certificate, str(one)), "")
