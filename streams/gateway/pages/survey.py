"""The page of a survey: a score from 0 to 10 or one to five stars. A link chooses a value; one tap confirms it. A GET records nothing."""

from __future__ import annotations

from aiohttp import web

from streams.gateway.pages.base.forms import Form, whole_number
from streams.gateway.pages.base.records import engagement, event_id, publish
from streams.gateway.pages.base.visit import Submission, Visit, acted, shown

TEMPLATE = "survey.html.j2"
#: Questions whose ids start with this are answered from 0 to 10 ("how likely are you to recommend us"), all others with one to five stars.
NPS = "nps"
#: Characters of a text answer, as on the topic.
MAX_ANSWER = 2000
#: After the id of a question: the id of the question that follows it.
FOLLOW_UP = "-why"
_MAX_ID = 200


def scale_of(question: str) -> tuple[int, int]:
    """Return the least and the most value that answers a question."""
    return (0, 10) if question == NPS or question.startswith(f"{NPS}-") else (1, 5)


async def show(visit: Visit) -> web.Response:
    """Return the page, with the value that the link chooses, or the thanks with the question that follows."""
    least, most = scale_of(visit.link.target)
    value = whole_number(visit.request.query.get("value", ""), least, most)
    return _page(visit, value, visit.done)


async def again(visit: Visit, form: Form, error: str) -> web.Response:
    """Return the page again, with the chosen value or the typed text, and an error."""
    value = form.number("value", *scale_of(visit.link.target))
    is_follow_up = form.text("act") == "why"
    return _page(visit, value, "answered" if is_follow_up else "", error, form.text("why"))


def _page(visit: Visit, value: int | None, done: str, error: str = "", why: str = "") -> web.Response:
    question = visit.link.target
    least, most = scale_of(question)
    own = f"question.{question}"
    errors = {"error.choose": {"value": error}, "error.long": {"why": error}, "error.empty": {"why": error}}
    return visit.page(
        TEMPLATE,
        error=error,
        errors=errors.get(error, {}),
        done=done,
        question=own if visit.site.has_text(own, visit.language) else "s.nps" if most == 10 else "s.stars",
        is_nps=most == 10,
        values=range(least, most + 1),
        value=value,
        why=why,
        most_chars=MAX_ANSWER,
    )


async def act(visit: Visit, submission: Submission) -> web.Response:
    """Publish the answer, or the text that explains it."""
    form, question = submission.form, visit.link.target
    if form.text("act") == "why":
        text = form.text("why")
        if not text or len(text) > MAX_ANSWER:
            return await again(visit, form, "error.long" if text else "error.empty")
        name = f"{question[: _MAX_ID - len(FOLLOW_UP)]}{FOLLOW_UP}"
        id = event_id(visit, "answered", f"{FOLLOW_UP}.{text}")
        await publish(visit, engagement(visit, "answered", id, {"question": name, "answer": text}))
        return visit.redirect("thanks")
    value = form.number("value", *scale_of(question))
    if value is None:
        return await again(visit, form, "error.choose")
    id = event_id(visit, "answered", str(value))
    await publish(visit, engagement(visit, "answered", id, {"question": question, "answer_thousandths": value * 1000}))
    return visit.redirect("answered")


get, post = shown("s", show), acted("s", act, again)
