"""Plays a story: the rules run on a virtual clock with the events of the story, and each email and each decision against one is noted."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from streams.core.model.customer import new_customer
from streams.core.model.effects import CountSales, Effect, LogDecision, ScheduleTimer, SendMail
from streams.core.offers.catalogue import Catalogue, Product
from streams.core.offers.popularity import week_of
from streams.core.offers.product_changes import version_of
from streams.core.rules.ruleset import Ruleset
from streams.mail.command import Command
from streams.tools.operations.event_records import read_event
from streams.tools.operations.explanation import NOT_STARTED, NOT_TRIGGER, Explanation, explain
from streams.tools.simulation.simulator import Simulator
from streams.tools.stories.entries import Begun, EntryMaker, Note, NotStarted
from streams.tools.stories.played_story import PlayedStory, Shown
from streams.tools.stories.shop_records import CUSTOMER_ID, EndpointRecord, StoryShop
from streams.tools.stories.story import EMAIL_KINDS, Story, StoryEvent
from streams.tools.stories.words import cause_text, event_text

#: The first day of a story, if none is named: a Monday without a holiday.
FIRST_DAY = date(2026, 3, 2)
DAYS = 60
#: Time between the state of the shop before the story and its first event, so that changes of products are seen as such.
_BEFORE = timedelta(days=2)


def with_drafts(ruleset: Ruleset) -> Ruleset:
    """Return the rules with all drafts live."""
    return ruleset.with_flows([replace(flow, status="live") for flow in ruleset.flows])


def play(
    ruleset: Ruleset,
    story: Story,
    schemas_dir: Path,
    show: Callable[[Command], Shown],
    *,
    first_day: date = FIRST_DAY,
    days: int = DAYS,
    language: str = "",
) -> PlayedStory:
    """Run a story, and return what happens in it.

    Args:
        ruleset: the flows and the rules of the shop.
        story: the story.
        schemas_dir: the folder of the Avro schemas.
        show: renders an email.
        first_day: the local date of day 0.
        days: the length of the story.
        language: the language of the customer; "" for that of the story.
    """
    return _Playing(ruleset, story, schemas_dir, show, first_day, language or story.customer.language).run(days)


def is_unrelated(reason: str, notes: Sequence[str]) -> bool:
    """Return whether a flow does not start because the event has nothing to do with it, or changes nothing at all."""
    return reason.startswith(NOT_TRIGGER) or reason in notes


class _Playing:
    """The run of a story."""

    def __init__(
        self,
        ruleset: Ruleset,
        story: Story,
        schemas_dir: Path,
        show: Callable[[Command], Shown],
        first_day: date,
        language: str,
    ) -> None:
        self._story, self._schemas_dir, self._show = story, schemas_dir, show
        self._shop = StoryShop(story, language, first_day)
        self._zone = ZoneInfo(story.customer.time_zone)
        self._notes: list[Note] = []
        #: The present act of the customer or the shop as text, and the number of its note; "" and -1 while only time passes.
        self._cause, self._cause_at = "", -1
        self._is_explaining = False
        #: The instances of flows -> when they began, and by what.
        self._begun: dict[str, Begun] = {}
        self._catalogue = Catalogue([self._product(sku) for sku in story.products])
        start = min([self._shop.time_of(event) for event in story.events[:1]] + [self._midnight(0)]) - _BEFORE
        self._run = Simulator(
            ruleset, start.astimezone(UTC), on_effect=self._note, has_codes=True, catalogue=self._catalogue
        )

    def run(self, days: int) -> PlayedStory:
        """Run all events and the time after them, and return what happens."""
        run, shop = self._run, self._shop
        self._stock()
        self._handle(shop.profile(run.now.astimezone(self._zone)))
        begins, ends = self._midnight(0), self._midnight(days)
        for event in self._story.events:
            at = shop.time_of(event)
            if at >= ends:
                break
            run.advance_to(at.astimezone(UTC))
            self._happen(event)
        run.advance_to(ends.astimezone(UTC))
        entries, emails = EntryMaker(run, self._notes, self._begun, self._zone, self._show).entries(begins)
        return PlayedStory(
            story=self._story,
            language=shop.language,
            first_day=shop.first_day,
            days=days,
            entries=entries,
            emails=emails,
            orders_before=self._story.customer.orders_before
            + sum(event.kind == "order" for event in self._story.events if shop.time_of(event) < begins),
            emails_before=sum(isinstance(note.what, SendMail) and note.at < begins for note in self._notes),
        )

    def _midnight(self, day: int) -> datetime:
        return datetime.combine(self._shop.first_day + timedelta(days=day), time(), self._zone)

    # -- events ------------------------------------------------------------------------------------------------------

    def _happen(self, event: StoryEvent) -> None:
        """Let the customer or the shop do something."""
        shop, run = self._shop, self._run
        send: SendMail | None = None
        if event.kind in EMAIL_KINDS:
            send = self._newest(event.values["message"])
        is_reaction = event.kind in EMAIL_KINDS
        records = list(shop.records(event, send.send_id if send else None)) if not is_reaction or send else []
        if "price" in event.values:
            shop.set_price(event.values["sku"], event.values["price"])
        text = event_text(shop, event, f"{send.flow}/{send.message}" if send else "" if is_reaction else None)
        self._cause, self._cause_at = cause_text(shop, event, text), len(self._notes)
        self._notes.append(Note(run.now, text))
        if event.kind == "product":
            self._change(event)
        for record in records:
            self._handle(record)
        self._cause, self._cause_at = "", -1

    def _handle(self, record: EndpointRecord) -> None:
        endpoint, values = record
        run = self._run
        event = read_event(json.dumps(values).encode(), CUSTOMER_ID, self._schemas_dir, run.now, endpoint)
        is_shown = run.now >= self._midnight(0)
        state = run.customers.get(CUSTOMER_ID) or new_customer(CUSTOMER_ID)
        explained = (
            explain(run.ruleset, state, event, run.now) if is_shown else Explanation(customer_id="", notes=(), flows=())
        )
        self._is_explaining = is_shown
        run.handle(event)
        self._is_explaining = False
        for flow in explained.flows:
            if flow.result == "does not start" and not is_unrelated(flow.reason, explained.notes):
                self._notes.append(Note(run.now, NotStarted(flow.flow, flow.reason)))

    def _newest(self, message: str) -> SendMail | None:
        """Return the newest email, or the newest one with this name."""
        sent = [note.what for note in self._notes if isinstance(note.what, SendMail)]
        return next((mail for mail in reversed(sent) if message in ("", f"{mail.flow}/{mail.message}")), None)

    # -- products ----------------------------------------------------------------------------------------------------

    def _product(self, sku: str, stock: int | None = None) -> Product:
        product, shop = self._story.products[sku], self._shop
        return Product(
            sku=sku,
            title=shop.title(sku),
            category=product.category,
            unit_price_minor=shop.price_minor(sku),
            currency=shop.currency,
            url=f"https://shop.example/{sku.lower()}",
            image_url=shop.picture(sku),
            is_consumable=product.lasts_days is not None,
            complements=product.complements,
            stock=stock,
            is_available=stock != 0,
            compared_price_minor=shop.full_price_minor(sku),
        )

    def _stock(self) -> None:
        """Let the shop have its products, and sales of them, as of other customers."""
        run = self._run
        recommendations = run.recommendations
        if recommendations is None:  # the simulator has a catalogue, so it has recommendations
            return
        skus, week = tuple(self._story.products), week_of(run.now)
        for number, sku in enumerate(skus):
            run.change_product(version_of(self._product(sku), run.now, number))
            for sale in range(len(skus) - number):
                sold = (sku, *[other for other in self._story.products[sku].complements if other in skus][:1])
                recommendations.count(
                    CountSales(
                        sales_id=f"{sku}-{sale}",
                        customer_id="",
                        week=week,
                        week_before=week,
                        gone=(),
                        come=sold,
                        is_new=True,
                        earlier=(),
                    )
                )

    def _change(self, event: StoryEvent) -> None:
        run, values = self._run, event.values
        product = self._product(values["sku"], values.get("stock"))
        self._catalogue.put(product)
        run.change_product(version_of(product, run.now, self._catalogue.changes + len(self._story.products)))

    def _note(self, effect: Effect, now: datetime) -> None:
        if isinstance(effect, SendMail | LogDecision | ScheduleTimer) and effect.instance_id:
            self._begun.setdefault(effect.instance_id, Begun(now, self._cause, self._cause_at))
        if isinstance(effect, SendMail) or (isinstance(effect, LogDecision) and not self._is_explained(effect)):
            self._notes.append(Note(now, effect))

    def _is_explained(self, decision: LogDecision) -> bool:
        """Return whether the explanation of the present event has the decision already."""
        return self._is_explaining and decision.rule in NOT_STARTED
