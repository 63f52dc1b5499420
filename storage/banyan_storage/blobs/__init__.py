"""Blobs on the disk: pictures and films that posts name by their content. Start reading at blob_store.py."""

from banyan_storage.blobs.blob_store import BlobStore
from banyan_storage.blobs.files import DamagedBlob, HeldBlob, PartialBlob

__all__ = ["BlobStore", "DamagedBlob", "HeldBlob", "PartialBlob"]
