"""Exceptions of the runtime. They stand apart so that codecs and validation need not import the transaction code."""

from __future__ import annotations


class PartitionRevoked(RuntimeError):
    """The partition now belongs to another worker. The batch is dropped; the other worker processes it again."""


class GroupLeft(RuntimeError):
    """This worker no longer takes part in its consumer group, and does not return on its own."""


class NameInUse(RuntimeError):
    """Another process uses the name of this one in its consumer group. It may join when that process is gone."""


class CommitTimeout(RuntimeError):
    """A commit neither succeeded nor failed in time. The partition's next owner finds out whether it took effect."""


class TooManyFailures(RuntimeError):
    """The handler failed for too many records in a row. The worker stops rather than skip them all."""


class StoreError(RuntimeError):
    """A store cannot be used as it is; the message says what to do."""


class TimerTooNew(ValueError):
    """A newer Takk wrote a stored timer. This worker cannot fire it."""


class RegistryUnavailable(RuntimeError):
    """The schema registry does not answer, or not as a registry does. Records may be valid: wait, and ask again."""


class StateError(RuntimeError):
    """Stored state could not be read, decoded or written. No record is at fault, so none becomes a dead letter. The process must end."""


class Misrouted(Exception):
    """Raised by a handler when a record's key is not its customer. The record is published again under `key`."""

    def __init__(self, key: bytes) -> None:
        super().__init__("the record's key is not its customer")
        self.key = key


class InvalidRecord(Exception):
    """A record that can never be processed. Base class of all such errors.

    Args:
        reason: a name from a closed list.
        detail: an explanation for people, without personal data.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
