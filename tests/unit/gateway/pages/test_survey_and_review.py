"""Surveys and reviews: a link chooses a value, a GET records nothing, one tap confirms, and corrections replace."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.wire.topics import ENGAGEMENT, REVIEWS
from tests.harness.gateway_fakes import SECRET
from tests.harness.pages import Pages, opened, picture, submit, submit_photo
from tests.harness.tokens import signed_token


@pytest.mark.parametrize(("question", "value", "top"), [("nps", 0, 10), ("nps", 10, 10), ("quality", 4, 5)])
async def test_link_chooses_a_value(question: str, value: int, top: int) -> None:
    """The link opens the page with its value chosen, and records nothing; the button publishes a number."""
    pages = Pages()
    async with pages.client() as client:
        path = pages.link("s", question)
        html = await opened(client, f"{path}?value={value}")
        assert html.count(" checked") == 1
        assert f'value="{value}" checked' in html
        assert f'value="{top}"' in html
        assert f'value="{top + 1}"' not in html
        assert pages.publisher.records == []
        response = await submit(client, path, {"value": str(value), "act": "answer"})
        assert response.headers["Location"].endswith("done=answered")
    ((topic, record),) = pages.topics()
    assert (topic, record["kind"], record["question"]) == (ENGAGEMENT, "answered", question)
    assert (record["answer"], record["answer_thousandths"]) == (None, value * 1000)


@pytest.mark.parametrize("value", ["", "11", "-1", "9.5", "nine", "٣"])
async def test_value_that_is_not_on_the_scale(value: str) -> None:
    """A value that is not on the scale chooses nothing, and is not accepted."""
    pages = Pages()
    async with pages.client() as client:
        html = await opened(client, pages.link("s", "nps"), params={"value": value})
        assert " checked" not in html
        assert (await submit(client, pages.link("s", "nps"), {"value": value})).status == 422
    assert pages.publisher.records == []


async def test_same_answer_has_one_id() -> None:
    """The same answer again, even from another page, has the same id; another answer has its own."""
    pages = Pages()
    async with pages.client() as client:
        for value in ("9", "9", "3"):
            await submit(client, pages.link("s", "nps"), {"value": value})
            pages.now = pages.now.replace(minute=pages.now.minute + 1)
    assert len(set(pages.ids())) == 2


async def test_follow_up() -> None:
    """The question that follows is answered as a text of its own; too much text stays on the page."""
    pages = Pages()
    async with pages.client() as client:
        path = pages.link("s", "nps")
        assert (await submit(client, path, {"act": "why", "why": " Kind\x00\r\npeople "})).status == 303
        long = await submit(client, path, {"act": "why", "why": "x" * 2001})
        assert long.status == 422
        assert "x" * 2001 in await long.text()
        assert (await submit(client, path, {"act": "why", "why": " "})).status == 422
    ((_, record),) = pages.topics()
    assert (record["question"], record["answer"]) == ("nps-why", "Kind\npeople")


async def test_review(tmp_path: Path) -> None:
    """A review is published, and the customer's reaction with it; the thanks have the links that everyone gets."""
    pages = Pages(tmp_path)
    links = []
    async with pages.client() as client:
        path = pages.link("r", "TEA-1")
        html = await opened(client, f"{path}?stars=2")
        assert 'value="2" checked' in html
        assert "Darjeeling" in html
        for stars in ("1", "5"):
            fields = {"stars": stars, "text": "Fin te", "name": "Anna"}
            assert (await submit(client, path, fields)).status == 303
            thanks = await opened(client, f"{path}?done=reviewed")
            links.append([line for line in thanks.splitlines() if "trustpilot" in line])
    assert links[0] == links[1] != []
    assert "https://dk.trustpilot.com" in links[0][0]
    (topic, review), (_, reaction), (_, second), (_, again) = pages.topics()
    assert (topic, review["sku"], review["stars"], review["text"]) == (REVIEWS, "TEA-1", 1, "Fin te")
    assert (reaction["kind"], reaction["stars"], reaction["event_id"]) == ("reviewed", 1, review["review_id"])
    assert second["review_id"] == review["review_id"]
    assert again["event_id"] == reaction["event_id"]


#: Characters that a browser may send, and nobody sees: controls, and those that turn the direction of writing or mark annotations.
UNSEEN = "\x00\x07\x1b\x7f\x85\x9b\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufff9\ufffb"


@pytest.mark.parametrize("character", UNSEEN)
async def test_texts_without_unseen_characters(character: str, tmp_path: Path) -> None:
    """Texts of customers lose control characters and those that change the direction of writing, wherever they are shown later."""
    pages, typed = Pages(tmp_path), f"{character}Fin{character} te{character}"
    async with pages.client() as client:
        assert (await submit(client, pages.link("r"), {"stars": "5", "text": typed, "name": typed})).status == 303
        assert (await submit_photo(client, pages.link("k", "summer"), {"caption": typed}, picture())).status == 303
        assert (await submit(client, pages.link("s", "nps"), {"act": "why", "why": typed})).status == 303
    (_, review), _, (_, entry), _, (_, answer) = pages.topics()
    assert (review["text"], review["name"], entry["caption"], answer["answer"]) == ("Fin te",) * 4


async def test_names_have_one_line(tmp_path: Path) -> None:
    """A name is one line, whatever was sent; a text keeps its lines, joined characters and signs that change the look of others."""
    pages, text = Pages(tmp_path), "Så\nfin \U0001f469\u200d\U0001f33e \u2764\ufe0f"
    async with pages.client() as client:
        fields = {"stars": "5", "text": text, "name": " Anna\r\nBerg\n\n\tHolm "}
        assert (await submit(client, pages.link("r"), fields)).status == 303
    (_, review), _ = pages.topics()
    assert (review["name"], review["text"]) == ("Anna Berg Holm", text)


async def test_review_with_photo(tmp_path: Path) -> None:
    """The photo of a review is stored, and the record has its name."""
    pages = Pages(tmp_path)
    async with pages.client() as client:
        response = await submit_photo(client, pages.link("r"), {"stars": "5"}, picture())
        assert response.status == 303
    (_, review), _ = pages.topics()
    assert (tmp_path / review["photo"]).is_file()
    assert review["sku"] is None


async def test_review_without_stars_keeps_the_text(tmp_path: Path) -> None:
    """A review without stars shows the page again with its text."""
    pages = Pages(tmp_path)
    async with pages.client() as client:
        response = await submit(client, pages.link("r"), {"text": "<script>", "name": "A" * 81})
        html = await response.text()
    assert response.status == 422
    assert "&lt;script&gt;" in html
    assert 'id="stars-wrong"' in html
    assert 'id="name-wrong"' in html
    assert pages.publisher.records == []


async def test_link_of_an_earlier_version() -> None:
    """The signed token of an email from an earlier version opens the review form."""
    pages = Pages()
    token = signed_token(SECRET.encode(), "review", "s-0", "c-9")
    async with pages.client() as client:
        assert (await submit(client, f"/r/{token}", {"stars": "4"})).status == 303
    (_, review), _ = pages.topics()
    assert (review["customer_id"], review["send_id"], review["sku"]) == ("c-9", "s-0", None)
