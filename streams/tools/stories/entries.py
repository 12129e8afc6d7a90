"""The entries of a played story, from what its run has noted: events, emails with their reasons, and decisions against emails."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo

from msgspec import Struct
from msgspec.structs import replace

from streams.core.model.effects import LogDecision, SendMail
from streams.core.offers.catalogue import Catalogue
from streams.core.offers.shown_product import completed
from streams.core.sending.content import template_data
from streams.core.values.text import counted
from streams.mail.command import Command
from streams.tools.operations.customer_story import waiting_text
from streams.tools.operations.explanation import NOT_YET
from streams.tools.operations.rule_texts import decision_text
from streams.tools.simulation.simulator import Simulator
from streams.tools.stories.played_story import Entry, EntryKind, Shown
from streams.tools.stories.shop_records import CUSTOMER_ID
from streams.tools.stories.words import day_text, length_text, path_text

#: Outcomes of decisions against an email, and how an entry shows them.
_AGAINST: Mapping[str, EntryKind] = {
    "skip": "missed", "exit": "missed", "limit": "missed", "draft": "missed", "defer": "deferred",
}  # fmt: skip

#: The rule of a split without a branch for the customer. The flow continues after it.
NO_BRANCH = "no_arm"


class NotStarted(Struct, frozen=True):
    """A flow that an event does not start, although the event is its trigger."""

    flow: str
    reason: str


class Note(Struct, frozen=True):
    """Something that the run of a story has noted at a time (UTC): an event as text, an email, or a decision."""

    at: datetime
    what: SendMail | LogDecision | NotStarted | str


class Begun(Struct, frozen=True):
    """When an instance of a flow began, and by which event: its text, and the number of its note; "" and -1 if only time passed."""

    at: datetime
    cause: str
    cause_at: int


class EntryMaker:
    """Makes the entries.

    Args:
        run: the simulation, at its end.
        notes: what happened, in order.
        begun: the beginnings of instances.
        zone: the time zone of the customer.
        show: renders an email.
    """

    def __init__(
        self,
        run: Simulator,
        notes: Sequence[Note],
        begun: Mapping[str, Begun],
        zone: tzinfo,
        show: Callable[[Command], Shown],
    ) -> None:
        self._run, self._notes, self._begun, self._zone, self._show = run, notes, begun, zone, show
        self._decisions = [note.what for note in notes if isinstance(note.what, LogDecision)]
        #: The instances that send an email at some time.
        self._sending = {note.what.instance_id for note in notes if isinstance(note.what, SendMail)}
        self._found: list[Entry] = []
        self._emails: dict[int, Command] = {}
        #: The number of an event's note -> the number of its entry.
        self._numbers: dict[int, int] = {}
        #: The time, kind and reason of decisions -> the place of their entry.
        self._grouped: dict[tuple[datetime, EntryKind, str], int] = {}
        #: Instances whose email is deferred, with the rule -> the place of the entry.
        self._deferred: dict[tuple[str, str], int] = {}

    def entries(self, begins: datetime) -> tuple[tuple[Entry, ...], dict[int, Command]]:
        """Return the entries since a time, and the emails by the number of their entry."""
        for number, note in enumerate(self._notes):
            if note.at >= begins:
                self._add(number, note)
        return (*self._found, *self._waiting()), self._emails

    def _add(self, number: int, note: Note) -> None:
        what = note.what
        if isinstance(what, str):
            self._numbers[number] = len(self._found) + 1
            self._append(note.at, "event", what)
        elif isinstance(what, SendMail):
            self._email(note.at, what)
        elif isinstance(what, NotStarted):
            self._against(note.at, "deferred" if what.reason.startswith(NOT_YET) else "missed", what.flow, what.reason)
        elif what.flow and (kind := _AGAINST.get(what.outcome)) is not None:
            self._decide(note.at, kind, what)

    def _append(self, at: datetime, kind: EntryKind, text: str, **values: object) -> None:
        entry = Entry(number=len(self._found) + 1, at=at.astimezone(self._zone), kind=kind, text=text)
        self._found.append(replace(entry, **values))

    def _decide(self, at: datetime, kind: EntryKind, decision: LogDecision) -> None:
        """Add a decision against an email. The same deferral again, day after day, is one entry."""
        if decision.rule == NO_BRANCH and decision.instance_id in self._sending:
            return  # the flow continues after the split
        key = (decision.instance_id, decision.rule)
        if kind == "deferred" and key in self._deferred:
            entry = self._found[self._deferred[key]]
            self._found[self._deferred[key]] = replace(entry, times=entry.times + 1)
            return
        self._against(at, kind, decision.flow, decision_text(decision.rule, decision.detail))
        if kind == "deferred" and len(self._found[-1].flows) == 1:
            self._deferred[key] = len(self._found) - 1

    def _against(self, at: datetime, kind: EntryKind, flow: str, reason: str) -> None:
        """Add a reason against the emails of a flow. Flows with the same reason at the same time are one entry."""
        place = self._grouped.get((at, kind, reason))
        if place is None:
            self._grouped[at, kind, reason] = len(self._found)
            self._append(at, kind, reason, flows=(flow,))
        elif flow not in (flows := self._found[place].flows):
            self._found[place] = replace(self._found[place], flows=(*flows, flow))

    def _email(self, at: datetime, mail: SendMail) -> None:
        recommendations = self._run.recommendations
        command = _command(
            mail, at, recommendations.assortment.catalogue if recommendations is not None else Catalogue()
        )
        shown, begun = self._show(command), self._begun.get(mail.instance_id, Begun(at, "", -1))
        self._emails[len(self._found) + 1] = command
        self._append(
            at,
            "email",
            shown.subject,
            flows=(mail.flow,),
            message=mail.message,
            preheader=shown.preheader,
            because=tuple(self._because(mail, at, begun)),
            error=shown.error,
            cause=self._numbers.get(begun.cause_at, 0),
        )

    def _because(self, mail: SendMail, at: datetime, begun: Begun) -> Iterator[str]:
        """Yield why an email is sent: what started its flow, the waits and branches on the way, and the rule that allows it."""
        length, what = length_text(at - begun.at), begun.cause or "the calendar started the flow"
        began = day_text(begun.at.astimezone(self._zone))
        yield f"{length}: {what}" if length == "at once" else f"{length} after: {what}, on {began}"
        flow = self._run.ruleset.find_flow(mail.flow, mail.flow_version, mail.step)
        if flow is not None and (path := path_text(flow, mail.step)):
            yield f"path through the flow: {path}"
        yield from self._deferrals(mail, at)
        for each in self._decisions:
            if each.send_id == mail.send_id and each.outcome == "send":
                detail = "" if each.rule == "transactional" else each.detail
                yield f"allowed: {decision_text(each.rule, detail)}"

    def _deferrals(self, mail: SendMail, at: datetime) -> Iterator[str]:
        """Yield why an email was deferred before, once for each rule."""
        found: dict[str, list[LogDecision]] = {}
        for each in self._decisions:
            is_of_email = each.instance_id == mail.instance_id and each.step == mail.step and each.decided_at <= at
            if is_of_email and each.outcome == "defer":
                found.setdefault(each.rule, []).append(each)
        for rule, decisions in found.items():
            first = day_text(decisions[0].decided_at.astimezone(self._zone))
            times = f"{counted(len(decisions), 'time')} from {first}" if len(decisions) > 1 else f"on {first}"
            yield f"deferred {times}: {decision_text(rule, decisions[0].detail)}"

    def _waiting(self) -> list[Entry]:
        """Return the instances that wait at the end."""
        state = self._run.customers.get(CUSTOMER_ID)
        instances = sorted(state.instances, key=lambda each: (each.due_at, each.flow)) if state is not None else []
        return [
            Entry(
                number=number,
                at=instance.due_at.astimezone(self._zone),
                kind="waiting",
                text=waiting_text(instance),
                flows=(instance.flow,),
            )
            for number, instance in enumerate(instances, len(self._found) + 1)
        ]


def _command(mail: SendMail, at: datetime, catalogue: Catalogue) -> Command:
    """Return the command of an email, with the products as the mailer completes them. Nothing in it is measured."""
    context = template_data(mail.content)
    fields = {name: getattr(mail, name) for name in Command.__struct_fields__ if hasattr(mail, name)}
    more = {
        "context_json": json.dumps(context | completed(context, catalogue)),
        "tracking": False,
        "attempt": 1,
        "commanded_at": at,
        "raw": b"",
    }
    return Command(**fields | more)
