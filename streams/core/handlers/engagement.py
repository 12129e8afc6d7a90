"""Handler of engagement: what mailboxes and customers do with an email."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from streams.core.conditions.context import TriggerData
from streams.core.instances.exits import exit_instances_on
from streams.core.instances.occurrence import Occurrence
from streams.core.instances.waiting import timer_of
from streams.core.model import clicks
from streams.core.model.clicks import HeldClick
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
from streams.core.sending.attribution import attribute_orders
from streams.core.triggers.dispatch import dispatch
from streams.core.values import ids, local_time

#: Characters of a link, a question or an answer that conditions can read.
_MAX_TEXT = 200
#: Agents that fetch a pixel or follow links although nobody has read the email.
_MACHINES = frozenset(("scanner", "privacy_proxy"))


def on_engagement(uow: UnitOfWork, event: EngagementEvent) -> None:
    """Update consent and the email, publish the attributed engagement, and start and resume flows. Duplicates change nothing.

    A click that may be a scanner's is held first, see `release_clicks`.
    """
    if not uow.is_new(*_identity(event)):
        return
    sent = _sent(uow, event.send_id)
    if isinstance(event, MailClicked) and sent is not None and event.agent not in _MACHINES:
        if _hold(uow, event, sent):
            return
        event = replace(event, agent="scanner")
    _apply(uow, event, sent)


def release_clicks(uow: UnitOfWork, until: datetime) -> None:
    """Judge the clicks whose hold ends by `until` (UTC), publish them, and let those of people start and resume flows."""
    due = [click for click in uow.held_clicks if click.due_at is not None and click.due_at <= until]
    if not due:
        return
    scanned: set[HeldClick] = set()
    for send_id in dict.fromkeys(click.send_id for click in due):
        of_email = [click for click in uow.held_clicks if click.send_id == send_id]
        scanned.update(clicks.scanner_clicks(of_email, _arrivals(uow, _sent(uow, send_id)), uow.ruleset.day_scale))
    judged = {click: replace(click, agent="scanner") if click in scanned else click for click in due}
    uow.held_clicks = clicks.kept(
        [replace(judged[click], link="", due_at=None) if click in judged else click for click in uow.held_clicks],
        uow.ruleset.limits.held_clicks,
    )
    uow.changed = True
    for click in sorted(judged.values(), key=lambda click: click.order):
        clicked = MailClicked(
            customer_id=uow.customer_id,
            send_id=click.send_id,
            link=click.link,
            agent=click.agent,
            occurred_at=click.at,
        )
        _apply(uow, clicked, _sent(uow, click.send_id))
    attribute_orders(uow)  # they wait for held clicks, and a click may arrive after the order that followed it


def _hold(uow: UnitOfWork, event: MailClicked, sent: Sent) -> bool:
    """Hold a click until it is clear who clicked. Return False if too many are held: no person clicks so often."""
    held = [click for click in uow.held_clicks if click.due_at is not None]
    limit = uow.ruleset.limits.held_clicks
    if len(held) >= limit:
        if uow.is_new("limit", "held_clicks", sent.send_id):
            log = uow.decisions_of(
                sent.flow, sent.flow_version, "", sent.step, order_id=sent.order_id, send_id=sent.send_id
            )
            log.limit("held_clicks", f"more than {limit} clicks within seconds", repeat=sent.send_id)
        return False
    due_at = next((click.due_at for click in held if click.send_id == sent.send_id), None)
    if due_at is None:
        due_at = local_time.scale_deadline(uow.now, uow.now + clicks.HOLD, uow.ruleset.day_scale)
        instance_id = ids.digest(clicks.STEP, sent.send_id)
        uow.effects.append(timer_of(uow.customer_id, instance_id, sent.flow, clicks.STEP, due_at))
    click = HeldClick(
        sent.send_id, clicks.link_fingerprint(event.link), event.occurred_at, event.agent, event.link, due_at
    )
    uow.held_clicks = clicks.kept((*uow.held_clicks, click), limit)
    return True


def _arrivals(uow: UnitOfWork, sent: Sent | None) -> list[datetime]:
    """Return when an email arrived: the time of its delivery, and of its acceptance if no email was accepted after it."""
    if sent is None:
        return []
    is_newest = sent.outcome == "sent" and all(other.at <= sent.at or other.outcome != "sent" for other in uow.sends)
    return [at for at in (sent.delivered_at, uow.last_send_at if is_newest else None) if at is not None]


def _sent(uow: UnitOfWork, send_id: str | None) -> Sent | None:
    return next((sent for sent in uow.sends if sent.send_id == send_id), None)


def _identity(event: EngagementEvent) -> tuple[str, str, str, str]:
    """Return what is the same for an engagement that is reported again."""
    kind, link, _ = _describe(event)
    event_id = getattr(event, "event_id", "")
    if event_id:
        return event.send_id or "", kind, "id", event_id
    subject = event.question if isinstance(event, SurveyAnswered) else link or ""
    if isinstance(event, Unsubscribed) and event.scope != "marketing":
        subject = event.scope  # two unsubscriptions of one time from different scopes are two
    return event.send_id or "", kind, subject, local_time.text_of(event.occurred_at)


def _apply(uow: UnitOfWork, event: EngagementEvent, sent: Sent | None) -> None:
    kind, link, agent = _describe(event)
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
        uow.consent = consent.with_unsubscription(event.scope, event.occurred_at)
    elif isinstance(event, MailDelivered) and consent.soft_bounces:
        uow.consent = replace(consent, soft_bounces=0)


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
