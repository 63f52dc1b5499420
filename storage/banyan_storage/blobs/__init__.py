"""Blobs on the disk: pictures and films that posts name by their content. Start reading at blob_store.py."""

from .blob_store import BlobStore
from .files import DamagedBlob, HeldBlob
from .partial import PartialBlob

__all__ = ["BlobStore", "DamagedBlob", "HeldBlob", "PartialBlob"]
