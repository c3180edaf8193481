"""Records of measured cells, and the folder that holds those of a run."""

from .job import Job
from .record import Record
from .store import Manifest, Store, load

__all__ = ["Job", "Manifest", "Record", "Store", "load"]
