"""Measure every modality and seed, and write the tables; what is measured is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch

from ...config.lookup import parse_task
from ...tasks.images import Images, Layout, find_images
from ...tasks.packaged_images import CT, MR
from ...utils.atomic_files import make_folder, write_atomically
from ...utils.provenance import device_name
from ..learning.study import one_thread
from ..measured_files import measured_key, store_values, stored_values
from ..table_files import table_files
from .measure import Gain, measure
from .table import LEGEND, gain_table, in_words, seed_table

SLOW = "tomography(huber, angles=20)"
"""A projection takes as long as ten transforms, so this task has half of the crops: each slice of ``ct`` once."""
MODALITIES: Mapping[str, str | None] = {
    "denoising(huber)": None,
    "deblurring(huber)": None,
    "inpainting(huber)": None,
    "mri(colours(smoothing=0.01, ridge=0.02))": MR,
    "mri_coils(colours(smoothing=0.01, ridge=0.02))": MR,
    "super_resolution(huber)": None,
    "super_resolution(huber, factor=4)": None,
    "demosaicing(huber)": None,
    "poisson(huber)": None,
    SLOW: CT,
}
"""The tasks of the profile ``modalities``, each with the source of its images; ``None`` for photographs."""
SOURCES = (
    "bench/studies/learned_gain/measure.py",
    "bench/operators",
    "bench/penalties",
    "bench/spectra",
    "bench/tasks",
    "solvers",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    Attributes:
        seeds: number of seeds, from 0.
        layout: crops.
        source: images of all tasks, a folder or a name; ``None`` for those of ``MODALITIES``.
        modalities: tasks, with their images.
    """

    seeds: int = 3
    layout: Layout = field(default_factory=lambda: Layout(64, 4, 4))
    source: str | None = None
    modalities: Mapping[str, str | None] = field(default_factory=lambda: MODALITIES)

    def layout_of(self, text: str) -> Layout:
        """The crops of a task."""
        most = self.layout
        return replace(most, train=(most.train + 1) // 2, test=(most.test + 1) // 2) if text == SLOW else most

    @property
    def setting(self) -> str:
        """A line on crops, seeds and the machine."""
        layout, machine = self.layout, device_name(torch.device("cpu"))
        return (
            f"{layout.train} training crops and {layout.test} test crops of {layout.crop}×{layout.crop} of other "
            f"images, half as many for tomography, {self.seeds} seeds, float64, one thread of {machine}."
        )


def gain_study(plan: Plan, out: Path, progress: Callable[[str], None] = lambda line: None) -> list[Path]:
    """Measure what is not yet in ``out``, and write the tables ``gain`` and ``seeds``; returns their files.

    Raises:
        UserError: images are missing, or an equilibrium is not reached.
        Unwritable: the disk is full, or may only be read.
    """
    make_folder(out)
    make_folder(out / "measured")
    found: dict[tuple[str, str], list[Gain]] = {}
    with one_thread():
        for text, own in plan.modalities.items():
            task = parse_task(text)
            images = find_images(plan.source or own, colour=task.channels == 3)
            for seed in range(plan.seeds):
                gain = _measured(text, images, plan.layout_of(text), seed, out)
                found.setdefault((task.label, images.source), []).append(gain)
                progress(
                    f"{task.label}, seed {seed}: {gain.gain:+.2f} dB on test images in {gain.steps} steps"
                )
    table = gain_table(found)
    parts = ["# Learned weights against one hand-tuned weight", plan.setting, LEGEND.strip(), in_words(table)]
    files = {"gain.md": "\n\n".join(parts) + "\n", **table_files({"gain": table, "seeds": seed_table(found)})}
    for name, content in files.items():
        write_atomically(out / name, content)
    return [out / name for name in files]


def _measured(text: str, images: Images, layout: Layout, seed: int, out: Path) -> Gain:
    task = parse_task(text)
    decides = (repr(task), task.label, asdict(layout), images.digest, seed)
    file = out / "measured" / f"{measured_key(decides, SOURCES)}.json"
    gain = stored_values(file, "gain", Gain)
    if gain is None:
        gain = measure(task, images, layout, seed)
        what: dict[str, object] = {"task": task.label, "images": images.source, "seed": seed}
        store_values(file, what, "gain", gain.columns())
    return gain
