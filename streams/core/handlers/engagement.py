"""What customers, mailboxes and the mailer do with a mail, and what that does to the customer."""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.instances.exits import exit_instances_on
from streams.core.model.customer import Sent
from streams.core.model.effects import Attribute
from streams.core.model.events import (
    EngagementEvent,
    MailBounced,
    MailClicked,
    MailComplained,
    MailDelivered,
    MailOpened,
    SurveyAnswered,
    Unsubscribed,
)
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.sending.attribution import attribute_order
from streams.core.triggers.dispatch import happened
from streams.core.values import ids, local_time

#: Characters of a link or an answer that a flow remembers.
_LONGEST_TOLD = 200
#: Who fetches a mail's pixel or follows its links without having read it.
_MACHINES = frozenset(("scanner", "privacy_proxy"))


def on_engagement(uow: UnitOfWork, event: EngagementEvent) -> None:
    """Take in one engagement with a mail, once, and tell the neighbours where the mail came from."""
    kind, link, agent = _describe(event)
    about = event.question if isinstance(event, SurveyAnswered) else link or ""
    if not uow.is_new(event.send_id or "", kind, about, local_time.text_of(event.occurred_at)):
        return
    sent = next((one for one in uow.sends if one.send_id == event.send_id), None)
    if event.send_id is not None:
        uow.effects.append(_attribute(uow, event, event.send_id, sent, kind, link, agent))
    _change_consent(uow, event)
    if sent is not None:
        _note_on_send(uow, event, sent)
    if isinstance(event, Unsubscribed):
        exit_instances_on(uow, "customer.unsubscribed", None)
    elif isinstance(event, SurveyAnswered):
        told = (("question", event.question[:_LONGEST_TOLD]), ("answer", event.answer[:_LONGEST_TOLD]))
        _tell(uow, "survey.answered", event, sent, told)
    elif kind in ("delivered", "opened", "clicked") and agent not in _MACHINES and sent is not None:
        _tell(uow, f"mail.{kind}", event, sent, (("link", (link or "")[:_LONGEST_TOLD]),))


def _tell(
    uow: UnitOfWork, name: str, event: EngagementEvent, sent: Sent | None, told: tuple[tuple[str, str], ...]
) -> None:
    order = uow.order(sent.order_id) if sent is not None and sent.order_id is not None else None
    about = (("flow", sent.flow), ("message", sent.message), *told) if sent is not None else told
    happened(uow, name, order, None, event.occurred_at, about=about, send_id=event.send_id)


def _describe(event: EngagementEvent) -> tuple[str, str | None, str]:
    """The kind, the link and the class of agent of an engagement."""
    if isinstance(event, MailDelivered):
        return "delivered", None, "unknown"
    if isinstance(event, MailOpened):
        return "opened", None, event.agent
    if isinstance(event, MailClicked):
        return "clicked", event.link, event.agent
    if isinstance(event, MailBounced):
        return "bounced", None, "unknown"
    if isinstance(event, MailComplained):
        return "complained", None, "human"
    if isinstance(event, Unsubscribed):
        return "unsubscribed", None, "human"
    return "answered", None, "human"


def _attribute(
    uow: UnitOfWork, event: EngagementEvent, send_id: str, sent: Sent | None, kind: str, link: str | None, agent: str
) -> Attribute:
    # A send that is no longer remembered is passed on all the same, without where it came from.
    return Attribute(
        attribution_id=ids.digest("attribution", send_id, kind, link or "", local_time.text_of(event.occurred_at)),
        customer_id=uow.customer_id,
        kind=kind,
        send_id=send_id,
        flow=sent.flow if sent else "",
        flow_version=sent.flow_version if sent else 0,
        step=sent.step if sent else "",
        message=sent.message if sent else "",
        order_id=sent.order_id if sent else None,
        link=link,
        agent=agent,
        revenue_minor=None,
        currency=None,
        occurred_at=event.occurred_at,
    )


def _change_consent(uow: UnitOfWork, event: EngagementEvent) -> None:
    old = uow.consent
    if isinstance(event, MailBounced):
        if event.hard:
            uow.consent = replace(old, hard_bounced=True)
        else:
            uow.consent = replace(old, soft_bounces=old.soft_bounces + 1)
    elif isinstance(event, MailComplained):
        uow.consent = replace(old, complained=True)
    elif isinstance(event, Unsubscribed):
        uow.consent = replace(old, unsubscribed=tuple(sorted({*old.unsubscribed, event.scope})))
    elif isinstance(event, MailDelivered) and old.soft_bounces:
        uow.consent = replace(old, soft_bounces=0)


def _note_on_send(uow: UnitOfWork, event: EngagementEvent, sent: Sent) -> None:
    at = event.occurred_at
    if isinstance(event, MailDelivered):
        note = replace(sent, delivered_at=min(sent.delivered_at or at, at))
    elif isinstance(event, MailOpened) and event.agent not in _MACHINES:
        note = replace(sent, opened_at=min(sent.opened_at or at, at))
    elif isinstance(event, MailClicked) and event.agent == "human":
        note = replace(sent, clicked_at=max(sent.clicked_at or at, at))
    else:
        return
    uow.sends = tuple([note if one is sent else one for one in uow.sends])
    if isinstance(event, MailClicked):  # the click may be told after the order that it led to
        for order in uow.orders:
            credited = attribute_order(uow, order)
            if credited is not order:
                uow.put_order(credited)
