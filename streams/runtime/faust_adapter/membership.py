"""The membership of this process in its consumer group, as the broker reports it.

aiokafka cannot answer that: after some errors it sends no heartbeats and believes that it is a member. So the broker is asked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

import structlog
from confluent_kafka import KafkaError, KafkaException

from streams.runtime.errors import GroupLeft, NameInUse
from streams.runtime.faust_adapter.group_members import Member
from streams.runtime.faust_adapter.name_owner import NameOwner
from streams.runtime.kafka.retry import is_transient

log = structlog.get_logger(__name__)

#: Seconds between two questions to the broker.
INTERVAL_S = 5.0
#: Seconds without an answer after which the broker counts as away: three questions.
AWAY_S = 15.0
#: A process that does not return to its group within its session ends. A shorter session is extended to this, in seconds, because a process
#: that lost its session first finishes its batches (12 s at most).
MIN_OUTSIDE_S = 30.0


#: The remedy for two processes with one name.
TAKEN_HINT = "Give each process its own TAKK_GROUP_INSTANCE_ID. Nothing is lost: after its restart this process waits until the name is free."


class Group(Protocol):
    """The part of aiokafka's coordinator that is compared with the broker's answer."""

    member_id: str


class Membership:
    """The broker's newest answer.

    Args:
        list_members: asks the broker for the members of the group, and raises KafkaException. It blocks.
        group_id: the consumer group.
        owner: the name of this process in the group, and its right to it.
        session_timeout_s: seconds after which the broker removes a silent member.
        clock: a monotonic clock, in seconds.
    """

    def __init__(
        self,
        list_members: Callable[[], list[Member]],
        group_id: str,
        owner: NameOwner,
        session_timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._list_members = list_members
        self._group_id = group_id
        self.owner = owner
        self._limit_s = max(session_timeout_s, MIN_OUTSIDE_S)
        self._clock = clock
        self._answered_at = clock()
        self._error_code: int | None = None
        #: Since when the broker has answered that this process is not a member; None while it is one, or while the broker is away.
        self._outside_since: float | None = None
        #: Whether this process is a member, by the broker's newest answer.
        self.is_member = False

    @property
    def is_broker_away(self) -> bool:
        """Whether the broker has not answered for `AWAY_S`."""
        return self._clock() - self._answered_at > AWAY_S

    @property
    def is_over(self) -> bool:
        """Whether the broker has answered for a whole session that this process is not a member."""
        return self._outside_since is not None and self._clock() - self._outside_since > self._limit_s

    async def ask(self, group: Group) -> None:
        """Ask the broker who the members are.

        Raises:
            GroupLeft: this process has not been a member for a whole session, or another one has joined under its name.
        """
        member_id = group.member_id
        try:
            listed = await asyncio.to_thread(self._list_members)
        except KafkaException as error:
            self._note_error(error.args[0])
            return
        self._note_answer()
        if member_id and member_id == group.member_id:  # it did not join while the broker answered
            self.owner.keep(member_id)
            if (other := self.owner.other(listed)) is not None:
                raise GroupLeft(f"{self._taken(other)}. {TAKEN_HINT}")
        members = {member.member_id: member.group_instance_id for member in listed}
        # A process that is joining under a name has no member id yet. Its name is listed.
        name = self.owner.instance_id
        joining = not group.member_id and name is not None and name in members.values()
        self.is_member = joining or group.member_id in members
        if self.is_member:
            self._outside_since = None
        elif self._outside_since is None:
            self._outside_since = self._clock()
        if self.is_over:
            raise GroupLeft(
                f"the broker answers that this process has not been a member of the consumer group {self._group_id} for {self._limit_s:.0f} s. "
                "Nothing is lost: the supervisor restarts the process. If this repeats, check the log of the group's coordinator."
            )

    def _note_answer(self) -> None:
        if self._error_code is not None:
            log.info("the broker answers again", seconds=round(self._clock() - self._answered_at))
            self._error_code = None
        self._answered_at = self._clock()

    def _note_error(self, error: KafkaError) -> None:
        if error.code() != self._error_code:
            log.warning("the broker does not list the members of the group", error=error.str(), group=self._group_id)
            self._error_code = error.code()
        # Nobody knows: the session may end while the broker is away, and the process rejoins when it is back.
        self._outside_since = None
        if is_transient(error):
            self.is_member = False
        else:
            self._answered_at = self._clock()  # a broker that refuses to say is not away

    def check_name(self) -> None:
        """Check that no other process uses the name of this one. Call it before this process joins.

        Raises:
            NameInUse: another process uses it.
            KafkaException: the broker is away.
        """
        try:
            other = self.owner.other(self._list_members())
        except KafkaException as error:
            if is_transient(error.args[0]):
                raise
            log.warning("the broker does not list the members of the group", error=error, group=self._group_id)
            return
        if other is not None:
            raise NameInUse(self._taken(other))

    async def check_rejoin(self, lost_id: str) -> None:
        """Check that no other process has taken the name of this one. Call it before this process joins again.

        Args:
            lost_id: the member id of this process that the broker no longer knows.

        Raises:
            GroupLeft: another process has taken the name.
            KafkaException: the broker is away.
        """
        if self.owner.instance_id is None:
            return
        self.owner.keep(lost_id)
        try:
            await asyncio.to_thread(self.check_name)
        except NameInUse as error:
            raise GroupLeft(f"{error}. {TAKEN_HINT}") from error

    def _taken(self, other: Member) -> str:
        name = self.owner.instance_id
        return f"another process uses the name {name} in the group {self._group_id}, as its member {other.member_id}"
