"""The preference page: only changes are published, a box that was ticked beforehand is not consent, and requests are only asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from streams.wire.topics import ENGAGEMENT, REQUESTS
from tests.harness.pages import ANNA, NOW, TEA, Pages, opened, submit

SHOWN = "marketing review service tracking"
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')
KEPT = [("shown", SHOWN), *(("on", box) for box in SHOWN.split())]


async def saved(pages: Pages, pairs: Sequence[tuple[str, str]], status: int = 303) -> str:
    """Save the page with the fields `pairs`, and return what it answers."""
    async with pages.client() as client:
        response = await submit(client, pages.link("p"), [*pairs, ("act", "save")])
        assert response.status == status, await response.text()
        return str(await response.text())


def requests_of(pages: Pages) -> list[dict[str, Any]]:
    """Return the requests that were published."""
    return [dict(record) for topic, record in pages.topics() if topic == REQUESTS]


async def test_page_shows_the_present_choices() -> None:
    """Ticked boxes, frequency, birthday, dates and the masked address are those of the customer."""
    pages = Pages()
    async with pages.client() as client:
        html = await opened(client, pages.link("p"))
    assert html.count(" checked") == 5  # four boxes and the frequency
    assert 'value="1984"' in html
    assert "a•••@e•••.com" in html
    assert "Teapot &lt;b&gt;blue&lt;/b&gt;" in html


async def test_nothing_changed_publishes_nothing() -> None:
    """Saving the page as it was shown records no consent."""
    pages = Pages()
    fields = [
        ("frequency", "normal"),
        ("language", "da"),
        ("birthday-day", "1"),
        ("birthday-month", "5"),
        ("birthday-year", "1984"),
    ]
    await saved(pages, [*KEPT, *fields, ("anniversary-day", "21"), ("anniversary-month", "6")])
    assert pages.publisher.records == []


async def test_box_ticked() -> None:
    """A box that the customer ticks is a yes to that purpose, with evidence."""
    pages = Pages()
    await saved(pages, [*KEPT, ("on", "survey")])
    (request,) = requests_of(pages)
    assert request["answers"] == {"survey": True}
    assert (request["source"], bool(request["notice"]), request["wording"]) == (
        "preference page",
        True,
        "Spørgeskemaer",
    )


async def test_box_removed() -> None:
    """A box that the customer clears unsubscribes from that scope."""
    pages = Pages()
    await saved(pages, [pair for pair in KEPT if pair != ("on", "review")])
    ((topic, record),) = pages.topics()
    assert (topic, record["kind"], record["scope"]) == (ENGAGEMENT, "unsubscribed", "review")


async def test_marketing_removed_and_reviews_kept() -> None:
    """Without marketing, reviews that stay ticked are a yes that is later than the unsubscription from marketing, which covers them."""
    pages = Pages()
    await saved(pages, [pair for pair in KEPT if pair != ("on", "marketing")])
    (_, left), (_, kept) = pages.topics()
    assert (left["scope"], left["occurred_at"]) == ("marketing", NOW.replace(microsecond=0))
    assert kept["answers"] == {"review": True}
    assert kept["occurred_at"] == NOW + timedelta(milliseconds=1)


async def test_unknown_customer() -> None:
    """The page works without greeting if nothing is known, and saving it unchanged publishes nothing."""
    pages = Pages()
    pages.people.clear()
    async with pages.client() as client:
        html = await opened(client, pages.link("p"), headers={"Accept-Language": "sv"})
        assert "Anna" not in html
        assert 'lang="sv"' in html
        response = await submit(client, pages.link("p"), {"shown": "", "act": "save", "language": "da"})
        assert response.status == 303
    assert pages.publisher.records == []


async def test_frequency_language_and_days() -> None:
    """Frequency, language, birthday and other dates are published if they changed; a cleared date is removed."""
    pages = Pages()
    fields = {"frequency": "fewer", "language": "sv", "birthday-day": "29", "birthday-month": "2", "birthday-year": ""}
    dates = {"anniversary-day": "", "anniversary-month": "", "child_birthday-day": "3", "child_birthday-month": "12"}
    await saved(pages, [*KEPT, *fields.items(), *dates.items()])
    preferences, frequency = requests_of(pages)
    assert (frequency["kind"], frequency["frequency"]) == ("frequency", "fewer")
    assert (preferences["locale"], preferences["birthday"]) == ("sv", "--02-29")
    assert preferences["dates"] == {"anniversary": None, "child_birthday": "--12-03"}
    assert preferences["answers"] == {}


async def test_emptied_days_are_removed() -> None:
    """An emptied birthday and date are removed, also a date with a year, which the page does not show."""
    pages = Pages()
    pages.people["c-1"] = replace(ANNA, dates={"anniversary": "2019-06-21"})
    async with pages.client() as client:
        html = await opened(client, pages.link("p"))
        hidden = [field for field in _HIDDEN.findall(html) if field[0] != "check"]
        assert ("birthday-shown", "1984-05-01") in hidden
        assert ("date-anniversary-year", "2019") in hidden
        emptied = [(f"{name}-{part}", "") for name in ("birthday", "date-anniversary") for part in ("day", "month")]
        fields = [*KEPT, *hidden, *emptied, ("birthday-year", ""), ("act", "save")]
        assert (await submit(client, pages.link("p"), fields)).status == 303
    (request,) = requests_of(pages)
    assert (request["birthday"], request["dates"]) == ("", {"anniversary": None})


async def test_days_that_became_known_since_the_page_was_shown() -> None:
    """A field that was empty on the page removes nothing, and one that was not changed does not restore an older day."""
    pages = Pages()
    fields = [("birthday-day", ""), ("birthday-month", ""), ("birthday-year", ""), ("birthday-shown", "")]
    fields += [("anniversary-day", "3"), ("anniversary-month", "4"), ("anniversary-shown", "--04-03")]
    await saved(pages, [*KEPT, *fields])
    assert pages.publisher.records == []


@pytest.mark.parametrize(
    ("change", "fields", "done"),
    [
        ({"birthday": "1984-05-02"}, [], "older"),
        ({"birthday": "1984-05-02"}, [("birthday-day", "3")], "saved"),
        ({"birthday": ""}, [], "older"),
        ({"dates": {"anniversary": "--07-01"}}, [], "older"),
        ({"answers": {**ANNA.answers, "marketing": False}}, [], "older"),
        ({"answers": {**ANNA.answers, "survey": True}}, [("on", "survey")], "saved"),
        ({"tracking": False}, [], "older"),
        ({}, [], "saved"),
    ],
)
async def test_page_from_before_the_last_change(
    change: dict[str, Any], fields: list[tuple[str, str]], done: str
) -> None:
    """A form that was changed and saved, and is brought back by the browser's button, does not say that all of it is saved."""
    pages = Pages()
    async with pages.client() as client:
        html = await opened(client, pages.link("p"))
        hidden = [field for field in _HIDDEN.findall(html) if field[0] not in ("check", "shown")]
        birthday = {"birthday-day": "1", "birthday-month": "5", "birthday-year": "1984", **dict(fields)}
        date = [("date-anniversary-day", "21"), ("date-anniversary-month", "6")]
        pages.people["c-1"] = replace(ANNA, **change)
        boxes = [field for field in fields if field[0] == "on"]
        birthday.pop("on", None)
        response = await submit(
            client, pages.link("p"), [*KEPT, *hidden, *birthday.items(), *date, *boxes, ("act", "save")]
        )
        assert response.headers["Location"].endswith(f"done={done}")
        assert "p.done" not in await opened(client, pages.link("p") + response.headers["Location"])


async def test_day_of_the_shop_that_the_form_would_refuse() -> None:
    """A day in the future, which only the shop can state, does not keep the customer from saving the page."""
    pages = Pages()
    pages.people["c-1"] = replace(ANNA, dates={"anniversary": "2030-06-21"})
    shown = [("anniversary-day", "21"), ("anniversary-month", "6"), ("anniversary-year", "2030")]
    await saved(pages, [*KEPT, ("on", "survey"), *shown, ("anniversary-shown", "2030-06-21")])
    (request,) = requests_of(pages)
    assert (request["answers"], request["dates"]) == ({"survey": True}, {})


@pytest.mark.parametrize("stored", ["2030-06-21", "1890-06-21", "2019-02-28", "0001-06-21"])
@pytest.mark.parametrize("day", ["", "29"])
async def test_day_with_a_hidden_year_that_does_not_fit(stored: str, day: str) -> None:
    """A date whose hidden year makes it invalid can be changed, then without the year, and removed."""
    pages = Pages()
    pages.people["c-1"] = replace(ANNA, dates={"anniversary": stored})
    async with pages.client() as client:
        html = await opened(client, pages.link("p"))
        fields = dict(field for field in _HIDDEN.findall(html) if field[0] != "check")
        typed = {"date-anniversary-day": day, "date-anniversary-month": "2" if day else "", "act": "save"}
        response = await submit(client, pages.link("p"), [*KEPT, *(fields | typed).items()])
        assert response.status == 303, await response.text()
    (request,) = requests_of(pages)
    assert request["dates"] == {"anniversary": "--02-29" if day else None}


@pytest.mark.parametrize("stored", ["2030-05-01", "1890-05-01"])
async def test_birthday_of_the_shop_that_the_form_would_refuse(stored: str) -> None:
    """A birthday that only the shop can state may stay, be replaced and be removed."""
    birthday = ("birthday-day", "birthday-month", "birthday-year")
    typed = {("1", "5", stored[:4]): None, ("2", "5", "1984"): "1984-05-02", ("", "", ""): ""}
    for values, expected in typed.items():
        pages = Pages()
        pages.people["c-1"] = replace(ANNA, birthday=stored)
        fields = [*KEPT, ("on", "survey"), *zip(birthday, values, strict=True), ("birthday-shown", stored)]
        await saved(pages, fields)
        (request,) = requests_of(pages)
        assert (request["answers"], request["birthday"]) == ({"survey": True}, expected)


@pytest.mark.parametrize("name", ["birthday", "date-anniversary", "date-unknown", "frequency", "act", ""])
@pytest.mark.parametrize("shown", ["", "--06-21", "2030-13-99", "x" * 500, "\u0661\u0669\u0668\u0664-05-01"])
async def test_shown_day_without_its_fields(name: str, shown: str) -> None:
    """A form that states what a day was, without the fields of the day, changes nothing."""
    pages = Pages()
    pages.people["c-1"] = replace(ANNA, birthday="2030-05-01", dates={"anniversary": "1890-06-21"})
    await saved(pages, [*KEPT, (f"{name}-shown", shown)])
    assert pages.publisher.records == []


@pytest.mark.parametrize("id", [" ", " CUP", "CUP ", "\u00a0CUP\u2003", "C\u200eUP\u200f", "C&U<P>\"'", "ka\u030affe"])
async def test_ids_survive_the_form(id: str) -> None:
    """An id of a product that the page shows can be taken off the lists, whatever characters it has."""
    pages = Pages()
    pages.people["c-1"] = replace(ANNA, wishes=("CUP", id), likes=(id,))
    async with pages.client() as client:
        html = await opened(client, pages.link("p"))
        values = [unescape(value) for value in re.findall(r'name="un(?:wished|liked)" value="([^"]*)"', html)]
        assert values == ["CUP", id, id]
        fields = [*KEPT, ("unwished", id), ("unliked", id), ("act", "save")]
        assert (await submit(client, pages.link("p"), fields)).status == 303
    assert [(record["kind"], record["sku"]) for _, record in pages.topics()] == [("unwished", id), ("unliked", id)]


async def test_dates_named_like_fields_of_the_page(tmp_path: Path) -> None:
    """A date of the shop may have any name: its fields, errors and texts are not those of other parts of the page."""
    names = ["frequency", "language", "email", "sure", "shown", "on", "act", "check", "birthday_day", "unwished"]
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "brand.yaml").write_text(f"name: Teahouse\ndates: [{', '.join(names)}]\n")
    pages = Pages(templates_dir=tmp_path)
    pages.people["c-1"] = replace(ANNA, dates={"frequency": "--01-02"}, wishes=("day", "CUP"))
    async with pages.client() as client:
        html = await opened(client, pages.link("p"))
        ids = re.findall(r' id="([^"]*)"', html)
        assert len(ids) == len(set(ids))
        wrong = [("date-frequency-day", "40"), ("date-frequency-month", "1"), ("act", "save")]
        html = await (await submit(client, pages.link("p"), [*KEPT, *wrong])).text()
        assert ('id="frequency-wrong"' in html, 'id="date-frequency-wrong"' in html) == (False, True)
        typed = [(f"date-{name}-{part}", "3") for name in names for part in ("day", "month")]
        fields = [*KEPT, *typed, ("frequency", "fewer"), ("act", "save")]
        assert (await submit(client, pages.link("p"), fields)).status == 303
    preferences, frequency = requests_of(pages)
    assert preferences["dates"] == dict.fromkeys(names, "--03-03")
    assert frequency["frequency"] == "fewer"


async def test_dates_of_a_page_that_was_opened_before_an_update() -> None:
    """The names that fields of dates had until their prefix still count."""
    pages = Pages()
    await saved(pages, [*KEPT, ("anniversary-day", "3"), ("anniversary-month", "4"), ("anniversary-shown", "--06-21")])
    (request,) = requests_of(pages)
    assert request["dates"] == {"anniversary": "--04-03"}


async def test_shown_day_after_an_error() -> None:
    """The page that shows an error keeps what the first page showed, so that the next attempt compares with it."""
    pages = Pages()
    fields = [("birthday-day", "40"), ("birthday-month", "5"), ("birthday-year", ""), ("birthday-shown", "--05-02")]
    html = await saved(pages, [*KEPT, *fields], status=422)
    assert ("birthday-shown", "--05-02") in _HIDDEN.findall(html)


@pytest.mark.parametrize(
    "day", [("31", "2", ""), ("1", "", ""), ("0", "5", "1984"), ("1", "13", ""), ("x", "5", ""), ("1", "5", "2027")]
)
async def test_day_that_does_not_exist(day: tuple[str, str, str]) -> None:
    """A day that does not exist shows the page again, with what was typed, and publishes nothing."""
    pages = Pages()
    fields = [("birthday-day", day[0]), ("birthday-month", day[1]), ("birthday-year", day[2])]
    html = await saved(pages, [*KEPT, ("on", "survey"), *fields], status=422)
    assert 'id="birthday-wrong"' in html
    assert f'value="{day[0]}"' in html
    assert html.count('value="survey" checked') == 1
    assert pages.publisher.records == []


async def test_titles_of_wishes_and_likes() -> None:
    """A product has the title of the shop's record, else that of the last order, else its sku."""
    pages = Pages()
    pages.products.update({"TEA-1": TEA, "CUP-9": replace(TEA, sku="CUP-9", title="Cup <i>green</i>")})
    pages.people["c-1"] = replace(ANNA, likes=("TEA-1", "GONE-3"))
    async with pages.client() as client:
        html = await opened(client, pages.link("p"))
    labels = re.findall(r'<label for="un(?:wished|liked)-([^"]+)">([^<]+)</label>', html)
    assert labels == [
        ("POT-2", "Teapot &lt;b&gt;blue&lt;/b&gt;"),
        ("CUP-9", "Cup &lt;i&gt;green&lt;/i&gt;"),
        ("TEA-1", "Darjeeling"),
        ("GONE-3", "GONE-3"),
    ]


async def test_wishes_and_likes() -> None:
    """Ticked products are taken off the lists; a product that is not on them is ignored."""
    pages = Pages()
    await saved(pages, [*KEPT, ("unwished", "CUP-9"), ("unliked", "TEA-1"), ("unliked", "OTHER")])
    assert [(r["kind"], r["sku"]) for _, r in pages.topics()] == [("unwished", "CUP-9"), ("unliked", "TEA-1")]


async def test_nothing_at_all() -> None:
    """One button unsubscribes from everything that is not transactional."""
    pages = Pages()
    async with pages.client() as client:
        await submit(client, pages.link("p"), {"act": "nothing"})
    ((_, record),) = pages.topics()
    assert (record["kind"], record["scope"]) == ("unsubscribed", "marketing")


async def test_address() -> None:
    """Another address is only asked for; an email to it must be confirmed."""
    pages = Pages()
    async with pages.client() as client:
        response = await submit(client, pages.link("p"), {"act": "address", "email": " new@example.com "})
        assert "new" not in response.headers["Location"]
        wrong = await submit(client, pages.link("p"), {"act": "address", "email": "new@"})
        assert wrong.status == 422
        assert 'value="new@"' in await wrong.text()
    (request,) = requests_of(pages)
    assert (request["kind"], request["stage"], request["email"]) == ("change_address", "asked", "new@example.com")


async def test_export_and_erasure() -> None:
    """Export and erasure are only asked for. The erasure needs its box."""
    pages = Pages()
    async with pages.client() as client:
        assert (await submit(client, pages.link("p"), {"act": "export"})).status == 303
        assert (await submit(client, pages.link("p"), {"act": "erase"})).status == 422
        assert (await submit(client, pages.link("p"), {"act": "erase", "sure": "yes"})).status == 303
    assert [(r["kind"], r["stage"]) for r in requests_of(pages)] == [("export", "asked"), ("erase", "asked")]
    assert all(r["request_id"].startswith(f"{r['kind']}-") for r in requests_of(pages))


async def test_confirmation() -> None:
    """The link of the confirming email shows a button; only its press confirms the request."""
    pages = Pages()
    id = "erase-0123456789abcdef"
    async with pages.client() as client:
        await opened(client, pages.link("a", id))
        assert pages.publisher.records == []
        for _ in range(2):
            assert (await submit(client, pages.link("a", id), {"act": "confirm"})).status == 303
        assert (await client.get(pages.link("a", "order-1"))).status == 404
    assert {(r["kind"], r["stage"], r["request_id"]) for r in requests_of(pages)} == {("erase", "confirmed", id)}
    assert len(set(pages.ids())) == 1


async def test_every_answer_of_the_table_is_shown() -> None:
    """A customer who refused everything gets no ticked box."""
    pages = Pages()
    pages.people["c-1"] = ANNA.__class__(customer_id="c-1", answers={"marketing": False}, updated_at=NOW)
    async with pages.client() as client:
        html = await opened(client, pages.link("p"))
    assert html.count(" checked") == 1  # the frequency
