"""Tables of a study as files."""

from __future__ import annotations

import io
from collections.abc import Mapping

import pandas as pd


def table_files(frames: Mapping[str, pd.DataFrame]) -> dict[str, str | bytes]:
    """Each frame as ``name.csv`` and ``name.parquet``, by the names of the files."""
    files: dict[str, str | bytes] = {}
    for name, frame in frames.items():
        stream = io.BytesIO()
        frame.to_parquet(stream, index=False)
        files |= {f"{name}.csv": frame.to_csv(index=False), f"{name}.parquet": stream.getvalue()}
    return files
