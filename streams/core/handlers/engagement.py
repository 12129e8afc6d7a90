"""Handler of engagement: what mailboxes and customers do with an email."""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.conditions.context import TriggerData
from streams.core.instances.exits import exit_instances_on
from streams.core.instances.occurrence import Occurrence
from streams.core.model.consent import Consent
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
from streams.core.sending.address_events import note_engagement
from streams.core.sending.attribution import attribute_order
from streams.core.triggers.dispatch import dispatch
from streams.core.values import ids, local_time

#: Characters of a link, a question or an answer that conditions can read.
_MAX_TEXT = 200
#: Agents that fetch a pixel or follow links although nobody has read the email.
_MACHINES = frozenset(("scanner", "privacy_proxy"))


def on_engagement(uow: UnitOfWork, event: EngagementEvent) -> None:
    """Update consent and the email, publish the attributed engagement, and start and resume flows. Duplicates change nothing."""
    kind, link, agent = _describe(event)
    subject = event.question if isinstance(event, SurveyAnswered) else link or ""
    if isinstance(event, Unsubscribed) and event.scope != "marketing":
        subject = event.scope  # two unsubscriptions of one time from different scopes are two
    if not uow.is_new(event.send_id or "", kind, subject, local_time.text_of(event.occurred_at)):
        return
    sent = next((sent for sent in uow.sends if sent.send_id == event.send_id), None)
    if event.send_id is not None:
        uow.effects.append(_attribute(uow, event, event.send_id, sent, kind, link, agent))
    _update_consent(uow, event)
    note_engagement(uow, event, sent)
    if sent is not None:
        _update_sent(uow, event, sent)
    if isinstance(event, Unsubscribed):
        exit_instances_on(uow, "customer.unsubscribed", None)
    elif isinstance(event, SurveyAnswered):
        data: TriggerData = (("question", event.question[:_MAX_TEXT]), ("answer", event.answer[:_MAX_TEXT]))
        if event.number_thousandths is not None:
            data = (*data, ("number", str(event.number_thousandths)))
        _dispatch(uow, "survey.answered", event, sent, data)
    elif kind in ("delivered", "opened", "clicked") and agent not in _MACHINES and sent is not None:
        _dispatch(uow, f"mail.{kind}", event, sent, (("link", (link or "")[:_MAX_TEXT]),))


def _dispatch(uow: UnitOfWork, name: str, event: EngagementEvent, sent: Sent | None, data: TriggerData) -> None:
    order = uow.order(sent.order_id) if sent is not None and sent.order_id is not None else None
    if sent is not None:
        data = (("flow", sent.flow), ("message", sent.message), *data)
    dispatch(uow, Occurrence(name, order, None, event.occurred_at, data, event.send_id))


def _describe(event: EngagementEvent) -> tuple[str, str | None, str]:
    """Return the kind, the link and the class of the agent of an engagement."""
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
    # Engagement with an email that is no longer stored is published too, without the flow that it came from.
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


def _update_consent(uow: UnitOfWork, event: EngagementEvent) -> None:
    consent = uow.consent
    if isinstance(event, MailBounced):
        if event.hard:
            uow.consent = replace(consent, hard_bounced=True)
        else:
            uow.consent = replace(consent, soft_bounces=consent.soft_bounces + 1)
    elif isinstance(event, MailComplained):
        uow.consent = replace(consent, complained=True)
    elif isinstance(event, Unsubscribed):
        uow.consent = _unsubscribed(consent, event)
    elif isinstance(event, MailDelivered) and consent.soft_bounces:
        uow.consent = replace(consent, soft_bounces=0)


def _unsubscribed(consent: Consent, event: Unsubscribed) -> Consent:
    scope, at, times = event.scope, event.occurred_at, dict(consent.unsubscribed_at)
    times[scope] = max(at, times.get(scope, at))
    return replace(
        consent,
        unsubscribed=tuple(sorted({*consent.unsubscribed, scope})),
        unsubscribed_at=tuple(sorted(times.items())),
    )


def _update_sent(uow: UnitOfWork, event: EngagementEvent, sent: Sent) -> None:
    at = event.occurred_at
    if isinstance(event, MailDelivered):
        updated = replace(sent, delivered_at=min(sent.delivered_at or at, at))
    elif isinstance(event, MailOpened) and event.agent not in _MACHINES:
        updated = replace(sent, opened_at=min(sent.opened_at or at, at))
    elif isinstance(event, MailClicked) and event.agent == "human":
        updated = replace(sent, clicked_at=max(sent.clicked_at or at, at))
    else:
        return
    uow.sends = tuple([updated if other is sent else other for other in uow.sends])
    if isinstance(event, MailClicked):  # the click may arrive after the order that followed it
        for order in uow.orders:
            credited = attribute_order(uow, order)
            if credited is not order:
                uow.put_order(credited)
