"""Photos in a bucket: stored once under their names, and refused for a while if the bucket takes nothing."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from streams.endpoints import bucket_of
from streams.gateway.context import Unavailable
from streams.gateway.pages.base.uploads import NoBucketClient, PhotoBucket, _bucket, open_store
from streams.settings import Settings
from streams.wire.topics import REVIEWS
from tests.harness.pages import Pages, picture, submit_photo

URL = "s3://uploads-of-shop/photos"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A bucket in memory, with the access to it in the environment."""
    boto3, moto = (
        importlib.import_module("boto3"),
        importlib.import_module("moto"),
    )  # a second that other tests need not wait
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", "eu-north-1"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    _bucket.cache_clear()
    with moto.mock_aws():
        found = boto3.resource("s3").Bucket("uploads-of-shop")
        found.create(CreateBucketConfiguration={"LocationConstraint": "eu-north-1"})
        yield found
    _bucket.cache_clear()


def stored(bucket: Any) -> dict[str, bytes]:
    """Return the content of the bucket."""
    return {each.key: each.get()["Body"].read() for each in bucket.objects.all()}


async def test_photos_are_stored(bucket: Any) -> None:
    """A photo is stored once, as a picture, under a name made of its content."""
    store = PhotoBucket(URL)
    name = await store.put(b"one")
    assert await store.put(b"one") == name
    other = await store.put(b"two")
    assert stored(bucket) == {f"photos/{name}": b"one", f"photos/{other}": b"two"}
    assert bucket.Object(f"photos/{name}").content_type == "image/jpeg"


async def test_a_review_with_a_photo(bucket: Any) -> None:
    """The record of a review names the photo in the bucket."""
    pages = Pages(gateway_uploads_bucket=URL)
    async with pages.client() as client:
        response = await submit_photo(client, pages.link("r", "TEA-1"), {"stars": "4", "act": "review"}, picture())
        assert response.status == 303
    (review,) = [record for topic, record in pages.topics() if topic == REVIEWS]
    assert [*stored(bucket)] == [f"photos/{review['photo']}"]


async def test_missing_bucket(bucket: Any) -> None:
    """A bucket that does not exist is temporary: the customer is asked to try again, and nothing is published."""
    with pytest.raises(Unavailable):
        await PhotoBucket("s3://another-bucket").put(b"one")
    pages = Pages(gateway_uploads_bucket="s3://another-bucket")
    async with pages.client() as client:
        response = await submit_photo(client, pages.link("r", "TEA-1"), {"stars": "4", "act": "review"}, picture())
        assert (response.status, "Retry-After" in response.headers) == (503, True)
    assert pages.publisher.records == []


def test_unreachable_endpoint(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invalid settings of boto3 end the start with a message."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "no address")
    with pytest.raises(ValueError, match="no address"):
        PhotoBucket(URL)


def test_client_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the message says what to install."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(NoBucketClient, match=r"takk\[bucket\]"):
        PhotoBucket(URL)


def test_a_folder_is_the_default() -> None:
    """Without a bucket, photos go to a folder of the gateway's state."""
    assert type(open_store(Settings())).__name__ == "PhotoFolder"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://uploads", ("uploads", "")),
        ("s3://uploads/", ("uploads", "")),
        ("s3://up.loads-1/a/b/", ("up.loads-1", "a/b/")),
    ],
)
def test_addresses(url: str, expected: tuple[str, str]) -> None:
    """An address has a bucket, and may have a prefix."""
    assert bucket_of(url) == expected


@pytest.mark.parametrize(
    "url",
    ["", "uploads", "s3:/uploads", "s3://", "s3://U", "s3://ab", "https://uploads", "s3://uploads?x", "s3://a b c"],
)
def test_invalid_addresses(url: str) -> None:
    """Other texts are not an address of a bucket."""
    with pytest.raises(ValueError, match="not the address of a bucket"):
        bucket_of(url)


def test_folder_and_bucket() -> None:
    """Only one of both settings can be used."""
    with pytest.raises(ValueError, match="set one of them"):
        Settings(gateway_uploads_dir="/photos", gateway_uploads_bucket=URL)  # type: ignore[arg-type]  # read from a text
