"""Where uploaded photos are stored: in a folder, or in a bucket of an S3-compatible store."""

from __future__ import annotations

import asyncio
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from streams.endpoints import bucket_of
from streams.gateway.context import Gateway, Unavailable
from streams.gateway.spool import sync_folder

if TYPE_CHECKING:
    from streams.settings import Settings

log = structlog.get_logger(__name__)

#: Seconds until a connection to the bucket is made, and until an answer comes; and how often a photo is sent. All of it takes less than the
#: minute that a request with a photo may take.
CONNECT_TIMEOUT_S, READ_TIMEOUT_S, ATTEMPTS = 3.0, 10.0, 2
#: Photos that are sent at the same time.
THREADS = 4


class NoBucketClient(RuntimeError):
    """The client of buckets is not installed. The message says what to do."""


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
        name = _name_of(content)
        path = self._folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._create(path, content)
        # Otherwise a power failure could take the photo away. Also for one that exists: a crash may have ended the attempt that stored it.
        for folder in (path.parent, self._folder, self._folder.parent):
            sync_folder(folder)
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


class PhotoBucket:
    """Stores photos in a bucket. The environment has the access to it, as for every program that uses boto3.

    Args:
        url: `s3://bucket/prefix`.

    Raises:
        NoBucketClient: boto3 is not installed.
        ValueError: the environment has invalid settings of boto3, or no region.
    """

    def __init__(self, url: str) -> None:
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError:
            raise NoBucketClient("TAKK_GATEWAY_UPLOADS_BUCKET needs boto3 (hint: pip install 'takk[bucket]')") from None
        self._bucket, self._prefix = bucket_of(url)
        # Threads of its own: a bucket that does not answer must not keep the spool waiting.
        self._threads = ThreadPoolExecutor(THREADS, "bucket")
        self._errors = (BotoCoreError, ClientError, OSError)  # files of the environment may be missing
        config = Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        )
        try:
            self._client: Any = boto3.client("s3", config=config)
        except BotoCoreError as error:
            raise ValueError(f"TAKK_GATEWAY_UPLOADS_BUCKET: {error}") from error

    async def put(self, content: bytes) -> str:
        """Store a JPEG and return its name. Arguments and errors as `PhotoStore.put`."""
        name = _name_of(content)
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, partial(self._put, name, content))
        except self._errors as error:
            log.error("cannot store a photo in the bucket", at=self._bucket, error=error)
            raise Unavailable from error
        return name

    def _put(self, name: str, content: bytes) -> None:
        self._client.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=content, ContentType="image/jpeg")


def _name_of(content: bytes) -> str:
    digest = blake2b(content, digest_size=16).hexdigest()
    return f"{digest[:2]}/{digest}.jpg"


@lru_cache(maxsize=4)
def _folder(path: Path) -> PhotoFolder:
    return PhotoFolder(path)


@lru_cache(maxsize=4)
def _bucket(url: str) -> PhotoBucket:
    return PhotoBucket(url)


def open_store(settings: Settings) -> PhotoStore:
    """Return the store that the settings choose.

    Raises:
        NoBucketClient, ValueError: as `PhotoBucket`.
    """
    if settings.gateway_uploads_bucket:
        return _bucket(settings.gateway_uploads_bucket)
    return _folder(settings.gateway_uploads_dir or settings.state_dir / "gateway" / "uploads")


def store_of(gateway: Gateway) -> PhotoStore:
    """Return the store of a gateway."""
    return open_store(gateway.settings)
