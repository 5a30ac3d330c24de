"""Whole folders: processes of this machine or a Ray cluster, a record, and resuming."""

from .run import Summary, run_batch
from .store import Store
from .tasks import Compression, Decompression

__all__ = ["Compression", "Decompression", "Store", "Summary", "run_batch"]
