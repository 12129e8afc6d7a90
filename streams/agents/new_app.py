"""The app of a process, built from the settings."""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Literal

import structlog

from streams.agents.state_folder import open_state_folder
from streams.runtime.app import App
from streams.settings import Settings

log = structlog.get_logger(__name__)

#: The things that an operator may accept for one start: a changelog that does not fit the disk, offsets that do not fit the state, and taking
#: over the app id of another installation.
Accepted = Literal["changelog", "offsets", "take-over"]

#: Seconds that a rebalance waits for each process, at least, and those beyond the time that a mailer waits for what is on the wire.
REBALANCE_TIMEOUT_S = 60.0
REBALANCE_MARGIN_S = 15.0


def new_app(settings: Settings, role: str, batch_records: int, accepted: Collection[Accepted]) -> App:
    """Set up the logs and the state folder of a process, and return its app.

    Args:
        settings: the settings.
        role: `flows` or `mailer`.
        batch_records: the number of records in a batch.
        accepted: what an operator has accepted for this start.

    Raises:
        SystemExit: the state folder or a file with credentials cannot be used; the message says which.
    """
    folder = open_state_folder(settings, role)
    if not settings.address_key:
        log.warning("TAKK_ADDRESS_SECRET is not set: consent and caps hold per customer id, not per address")
    try:
        credentials = settings.faust_credentials()
    except OSError as error:
        sys.exit(f"cannot start: check the files of KAFKA_SSL_*_FILE: {error.strerror}")
    name = settings.group_instance_id
    app = App(
        f"{settings.app_id}-{role}",
        settings.kafka(),
        brokers=settings.faust_brokers(),
        partitions=settings.partitions,
        state_dir=folder,
        instance_id=f"{name}-{role}" if name else None,
        memory_mb=settings.memory_mb,
        batch_records=batch_records,
        batch_bytes=settings.batch_max_bytes,
        credentials=credentials,
        session_timeout_s=settings.session_timeout_s,
        rebalance_timeout_s=max(REBALANCE_TIMEOUT_S, settings.smtp_stop_timeout_s + REBALANCE_MARGIN_S),
        standby_replicas=settings.standby_replicas,
    )
    app.task_manager.takeover.is_changelog_accepted = "changelog" in accepted
    app.task_manager.takeover.are_offsets_accepted = "offsets" in accepted
    return app
