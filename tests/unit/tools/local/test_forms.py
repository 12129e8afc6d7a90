"""The forms of pages, as the browser of the simulated recipients reads them."""

from __future__ import annotations

import pytest

from streams.tools.local.recipients.pages import UnexpectedPage, read_page

HTML = """
<html lang="da"><body>
<form method="post" action="?lang=da" enctype="multipart/form-data">
<input type="hidden" name="check" value="a&amp;b">
<input type="radio" name="stars" value="1"><input type="radio" name="stars" value="2" checked>
<input type="checkbox" name="publish" value="yes">
<select name="month"><option value="">-</option><option value="5">May</option></select>
<select name="language"><option value="da">dansk</option><option value="en" selected>English</option></select>
<textarea name="text">before &lt;b&gt;</textarea>
<input name="name" value="Anna">
<input name="gone" value="x" disabled>
<input type="file" name="photo">
<button name="act" value="review">Send</button>
<button type="button" name="act" value="nothing">Help</button>
</form>
<form action="/search"><button name="go" value="find">Find</button></form>
</body></html>
"""
PAGE = read_page("https://links.example/r/token?stars=2", HTML)


def test_what_a_form_sends() -> None:
    """A form sends its hidden fields, what is chosen and typed, and its button, as a browser does."""
    form = PAGE.form("review")
    assert (PAGE.language, form.action) == ("da", "https://links.example/r/token?lang=da")
    assert (form.is_multipart, form.files) == (True, ["photo"])
    assert dict(form.filled("review", {})) == {
        "check": "a&b",
        "stars": "2",
        "month": "",
        "language": "en",
        "text": "before <b>",
        "name": "Anna",
        "act": "review",
    }
    changed = form.filled("review", {"stars": "1", "publish": "yes", "month": "5", "text": "after"})
    assert [value for name, value in changed if name == "stars"] == ["1"]
    assert dict(changed) | {"publish": "yes", "month": "5", "text": "after"} == dict(changed)


@pytest.mark.parametrize("changes", [{"stars": "3"}, {"check": "c"}, {"unknown": "1"}, {"month": "13"}, {"gone": "y"}])
def test_what_a_person_cannot_choose(changes: dict[str, str]) -> None:
    """Options that the form does not have, hidden and disabled fields cannot be filled in."""
    with pytest.raises(UnexpectedPage):
        PAGE.form("review").filled("review", changes)


@pytest.mark.parametrize("button", ["nothing", "find", "save"])
def test_buttons_that_submit_nothing(button: str) -> None:
    """A page without a form that the button submits with POST is not the one that was expected."""
    with pytest.raises(UnexpectedPage):
        PAGE.form(button)
