"""The interface through which the dispatch records emails that are about to be sent, and their outcomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from streams.mail.command import Command
from streams.mail.delivery.ledger import Plan
from streams.mail.report import Report

Planned: TypeAlias = tuple[Command, Plan]


class SendLedger(Protocol):
    """The record of what is sent, which survives the process."""

    @property
    def sharers(self) -> int:
        """How many batches are sent at once."""

    def room_after(self, done: Sequence[Report]) -> int:
        """Return how many emails more may be in doubt when the outcomes `done` are recorded before them."""

    @property
    def is_overdue(self) -> bool:
        """Whether `advance` must be called, though with nothing new."""

    @property
    def may_begin(self) -> bool:
        """Whether emails that were recorded may still begin. Otherwise they must be recorded again."""

    async def advance(self, begin: Sequence[Planned], done: Sequence[Report]) -> None:
        """Record that emails are about to be sent, and the outcomes of others. Return when the record survives a crash."""

    def add_listener(self, on_room: Callable[[], None]) -> None:
        """Call `on_room` whenever there may be more room. Its batch is one of the sharers until `remove_listener`."""

    def remove_listener(self, on_room: Callable[[], None]) -> None:
        """No longer call `on_room`."""


class NoLedger:
    """A ledger that records nothing."""

    sharers = 1
    is_overdue = False
    may_begin = True

    def room_after(self, done: Sequence[Report]) -> int:
        """Return a number that is never reached."""
        return 1 << 30

    async def advance(self, begin: Sequence[Planned], done: Sequence[Report]) -> None:
        """Do nothing."""

    def add_listener(self, on_room: Callable[[], None]) -> None:
        """Do nothing: there is always room."""

    def remove_listener(self, on_room: Callable[[], None]) -> None:
        """Do nothing."""
