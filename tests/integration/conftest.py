"""Fixtures that several modules share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from streams.tools.local.kafka.broker import EmbeddedKafka

pytest.register_assert_rewrite("tests.integration.jobs")  # before the import
from tests.integration.jobs import Job  # noqa: E402


@pytest.fixture
def topic(kafka: EmbeddedKafka) -> str:
    """A new topic with three partitions on the shared broker."""
    name = f"topic-{uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})  # it must live until the answer comes
    admin.create_topics([NewTopic(name, 3, 1)])[name].result(30)
    return name


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
