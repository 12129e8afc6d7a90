"""Fixtures that several modules share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.tools.local.kafka.broker import EmbeddedKafka

pytest.register_assert_rewrite("tests.integration.jobs")  # before the import
from tests.integration.jobs import Job  # noqa: E402


@pytest.fixture
def job(kafka: EmbeddedKafka, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Job]:
    """A job with its own topics; its workers end with the test."""
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
    job = Job(kafka.bootstrap, name, tmp_path)
    try:
        yield job
    finally:
        for worker in job.workers:
            worker.kill()
