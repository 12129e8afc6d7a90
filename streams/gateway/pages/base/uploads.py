"""Where uploaded photos are stored. A bucket can follow behind the same interface."""

from __future__ import annotations

import asyncio
import os
import tempfile
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

from streams.gateway.context import Gateway, Unavailable
from streams.gateway.spool import sync_folder


class PhotoStore(Protocol):
    """Stores photos under names that are made of their content, so that storing one twice has no effect."""

    async def put(self, content: bytes) -> str:
        """Store a JPEG and return its name. It is safe when this returns.

        Raises:
            Unavailable: there is no room, or the store does not answer.
        """


class PhotoFolder:
    """Stores photos in a folder, with one folder for each first byte of their names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, content: bytes) -> str:
        """Store a JPEG and return its name. Arguments and errors as `PhotoStore.put`."""
        try:
            return await asyncio.to_thread(self._write, content)
        except OSError as error:
            raise Unavailable from error

    def _write(self, content: bytes) -> str:
        digest = blake2b(content, digest_size=16).hexdigest()
        name = f"{digest[:2]}/{digest}.jpg"
        path = self._folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._create(path, content)
        # Otherwise a power failure could take the photo away. Also for one that exists: a crash may have ended the attempt that stored it.
        sync_folder(path.parent)
        sync_folder(self._folder)
        return name

    def _create(self, path: Path, content: bytes) -> None:
        # A file that a crash cuts off never has the name of a photo.
        number, part = tempfile.mkstemp(dir=path.parent, prefix=".part-")
        try:
            with os.fdopen(number, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise


@lru_cache(maxsize=4)
def _folder(path: Path) -> PhotoFolder:
    return PhotoFolder(path)


def store_of(gateway: Gateway) -> PhotoStore:
    """Return the store of a gateway."""
    settings = gateway.settings
    return _folder(settings.gateway_uploads_dir or settings.state_dir / "gateway" / "uploads")
