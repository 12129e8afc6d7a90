"""The installation that uses an app id on a cluster.

Two installations with one app id share its consumer groups: each gets half of the customers, and emails them with its own templates. A copy of
production's settings for a trial is enough. All processes of one installation have the same TAKK_INSTALLATION. The first start writes it to
a compacted topic, and a process of another installation does not start. Nothing on a disk can tell: an installation has many disks.
"""

from __future__ import annotations

import sys

import structlog

from streams.runtime.kafka.publishing import publish
from streams.runtime.kafka.topic_admin import ensure_topics
from streams.runtime.kafka.topic_reader import read_newest
from streams.settings import Settings
from streams.wire import topics

log = structlog.get_logger(__name__)


def check_installation(settings: Settings, is_taken_over: bool) -> None:
    """Check that no other installation uses the app id, and write the name of this one if it is the first.

    Args:
        settings: the settings.
        is_taken_over: whether this installation replaces another one.

    Raises:
        SystemExit: another installation uses the app id.
        KafkaException, TimeoutError: the topic cannot be read or written.
    """
    name = settings.installation
    if name is None:
        return
    kafka = settings.kafka()
    ensure_topics(kafka, [topics.INSTALLATION], 1, settings.replication)
    found = _read(settings)
    if found is None or (found != name and is_taken_over):
        if found is not None:
            log.warning("taking over the app id of another installation", app=settings.app_id, found=found)
        publish(kafka, topics.INSTALLATION.name, [(settings.app_id.encode(), name.encode())])
        found = _read(settings)  # two installations may start together
    if found != name:
        sys.exit(
            f"cannot start: the installation {found!r} uses TAKK_APP_ID={settings.app_id} on this cluster, and TAKK_INSTALLATION is {name!r}. "
            "Together they would divide the customers between their templates. Give this installation another cluster: topics have no prefix, "
            "so another TAKK_APP_ID alone separates the state, but not the emails. To replace the other installation, stop it, and start one "
            "process of this one with --take-over"
        )


def _read(settings: Settings) -> str | None:
    value = read_newest(
        settings.kafka(),
        topics.INSTALLATION.name,
        settings.app_id.encode(),
        group_id=settings.reader_group_id,
        partition=0,
    )
    return None if value is None else value.decode(errors="replace")
