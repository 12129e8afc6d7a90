"""Merges: two customer ids are one person. The state of one moves to the other, and the id becomes an alias.

An alias stores nothing but its target. Every later event of it is published again for the target, behind the state and in order. So it does
not matter that the shop, a mail program or a timer still uses the old id.
"""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.handlers.customer_pages import hide_customer
from streams.core.handlers.merging.customer import merge_state, start_completed
from streams.core.model.customer import Customer, Merge, new_customer
from streams.core.model.effects import CancelTimers, Effect, ForwardEvent, HandOver, ReleaseAlias
from streams.core.model.events import AliasReleased, CustomerMerged, Event, Forwarded, HandedOver
from streams.core.model.person_events import ERASED, CustomerErased
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.values import fingerprints, ids, local_time

#: The rules of the decisions.
MERGED, REFUSED = "merged", "merge_refused"


def hand_over(uow: UnitOfWork, event: CustomerMerged) -> tuple[Customer, list[Effect]]:
    """Return an alias in the place of the customer, and the effect that hands the state over. A merge in a circle is refused.

    Nothing is withdrawn or cancelled: emails on their way keep their ids, and timers that fire later are forwarded.
    """
    merged_ids = uow.merge.ids if uow.merge is not None else ()
    at = local_time.text_of(event.occurred_at)
    log = uow.decisions_of("", 0, "", "")
    if event.into in (uow.customer_id, *merged_ids):
        if uow.is_new(REFUSED, event.into, at):
            detail = "itself" if event.into == uow.customer_id else f"{event.into}, which is merged into this customer"
            log.skip(REFUSED, f"it was to be merged into {detail}", repeat=f"{event.into} {at}")
        return uow.finish()
    uow.effects.append(
        HandOver(
            handover_id=ids.digest("handover", uow.customer_id, event.into, at),
            customer_id=event.into,
            state=uow.state,
            path=(uow.customer_id,),
            merged_at=event.occurred_at,
        )
    )
    uow.effects += hide_customer(uow)
    log.note(MERGED, f"this customer is now {event.into}", repeat=f"{event.into} {at}")
    return Customer(uow.customer_id, merge=Merge(event.into, event.occurred_at)), uow.effects


def forward(uow: UnitOfWork, event: Event) -> tuple[Customer, list[Effect]]:
    """Return the state and the effects after an event of an alias: it is published again for the target.

    Erasing an alias erases nothing of its target: shops delete the customers that they have merged. The target is erased under its own id.
    """
    state, merge = uow.state, uow.merge or Merge()
    log, at = uow.decisions_of("", 0, "", ""), local_time.text_of(event.occurred_at)
    if isinstance(event, AliasReleased):
        return _released(uow, event)
    if isinstance(event, CustomerErased):
        detail = f"only the alias: this customer is now {merge.into}, whose data is erased under that id"
        log.note(ERASED, detail, repeat=at)
        return state, uow.effects
    if isinstance(event, CustomerMerged):
        if event.into != merge.into:
            detail = f"it was to be merged into {event.into}, but it is merged into {merge.into}"
            log.skip(REFUSED, detail, repeat=f"{event.into} {at}")
        if event.profile is None:
            return state, uow.effects
    uow.effects.append(ForwardEvent(customer_id=merge.into, path=_path(state, event)))
    return state, uow.effects


def closes_circle(state: Customer, event: Event) -> bool:
    """Return whether two merges crossed, so that each id would be an alias of the other, and this one is to stay the customer's.

    Of the ids in the circle it is the first by its text, so that all partitions choose the same one.
    """
    merge, path = state.merge, _path(state, event)
    return merge is not None and merge.into in path[:-1] and state.customer_id == min(path[path.index(merge.into) :])


def reinstate(uow: UnitOfWork) -> tuple[Customer, list[Effect]]:
    """Return a customer in the place of an alias, and the decision that says so. The states in the circle arrive after it."""
    into = uow.merge.into if uow.merge is not None else ""
    detail = f"{into} was merged into this customer at the same time: this id stays the customer's"
    uow.decisions_of("", 0, "", "").note(REFUSED, detail, repeat=into)
    return new_customer(uow.customer_id), uow.effects


def _path(state: Customer, event: Event) -> tuple[str, ...]:
    """Return the ids that the record of an event has passed through, this one included."""
    before = event.path if isinstance(event, (HandedOver, Forwarded)) else ()
    return (*before, state.customer_id)


def _released(uow: UnitOfWork, event: AliasReleased) -> tuple[Customer, list[Effect]]:
    """End an alias whose target was erased. The timers of its time as a customer go too."""
    if uow.merge is None or uow.merge.into not in event.erased_ids:
        return uow.state, []
    cancel = CancelTimers(
        cancellation_id=ids.digest(ERASED, uow.customer_id, local_time.text_of(event.occurred_at)),
        customer_id=uow.customer_id,
    )
    return replace(new_customer(uow.customer_id), consent=event.state.consent), [cancel]


def release_aliases(uow: UnitOfWork, remaining: Customer) -> None:
    """End the aliases of a customer who is erased. Each keeps what remains of the customer: the refusals."""
    if uow.merge is None:
        return
    for customer_id in uow.merge.ids:
        uow.effects.append(
            ReleaseAlias(
                release_id=ids.digest("release", customer_id, uow.customer_id, local_time.text_of(uow.now)),
                customer_id=customer_id,
                erased_ids=(uow.customer_id, *uow.merge.ids),
                state=replace(remaining, customer_id=customer_id),
                released_at=uow.now,
            )
        )


def on_handed_over(uow: UnitOfWork, event: HandedOver) -> None:
    """Merge the state of another customer into this one. The same hand-over again changes nothing."""
    own = uow.merge or Merge()
    fingerprint = ids.fingerprint("handover", event.handover_id)
    if fingerprints.contains(own.handovers, fingerprint):
        return
    rows = uow.forgotten_order_fingerprints, event.state.forgotten_order_fingerprints
    forgotten = len(set(fingerprints.entries(rows[0])).intersection(fingerprints.entries(rows[1])))
    completed = merge_state(uow, event.state)
    most, theirs = uow.ruleset.limits.merged_ids, event.state.merge or Merge()
    found = dict.fromkeys((*own.ids, *theirs.ids, event.state.customer_id, *event.path))
    found.pop(uow.customer_id, None)
    log = uow.decisions_of("", 0, "", "")
    if len(found) > most:
        log.limit(
            "merged_ids", f"more than {most} merged customers: the oldest are forgotten", repeat=event.handover_id
        )
    if forgotten:  # only the fingerprints of these orders are known, and not what they added to the totals
        detail = f"both had forgotten the same orders ({forgotten} fingerprints): each counts twice"
        log.limit("forgotten_orders", detail, repeat=event.handover_id)
    handovers = b"".join((theirs.handovers, own.handovers))
    uow.merge = Merge(ids=tuple(found)[-most:], handovers=fingerprints.add(handovers, fingerprint, most))
    uow.changed = True
    start_completed(uow, completed)  # these flows may have started under one of the ids
    state = event.state
    counts = f"{len(state.orders)} orders, {len(state.sends)} emails, {len(state.instances)} flows"
    log.note(MERGED, f"{state.customer_id} was merged into this customer: {counts}", repeat=event.handover_id)


def received(effect: HandOver | ForwardEvent | ReleaseAlias, event: Event) -> Event:
    """Return the event that another customer receives by an effect of `event`."""
    if isinstance(effect, HandOver):
        return HandedOver(
            customer_id=effect.customer_id,
            handover_id=effect.handover_id,
            state=effect.state,
            path=effect.path,
            occurred_at=effect.merged_at,
        )
    if isinstance(effect, ReleaseAlias):
        return AliasReleased(
            customer_id=effect.customer_id,
            erased_ids=effect.erased_ids,
            state=effect.state,
            occurred_at=effect.released_at,
        )
    if isinstance(event, HandedOver):
        return replace(event, customer_id=effect.customer_id, path=effect.path)
    first = event if isinstance(event, Forwarded) else None
    return Forwarded(
        customer_id=effect.customer_id,
        event=readdressed(event if first is None else first.event, effect.customer_id),
        path=effect.path,
        occurred_at=event.occurred_at,
        written_at=event.occurred_at if first is None else first.written_at,
    )


def readdressed(event: Event, customer_id: str) -> Event:
    """Return the event as one of another customer."""
    if hasattr(event, "order"):
        return replace(event, order=replace(event.order, customer_id=customer_id))
    if isinstance(event, CustomerMerged) and event.profile is not None:
        event = replace(event, profile=replace(event.profile, customer_id=customer_id))
    return replace(event, customer_id=customer_id)
