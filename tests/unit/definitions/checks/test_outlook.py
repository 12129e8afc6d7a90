"""The markup that Outlook needs: conditional comments, roles of tables, and widths of pictures."""

from __future__ import annotations

import pytest

from streams.definitions.checks.outlook import outlook_problems

ROW = '<table role="presentation" width="600"><tr><td>'
HIDDEN = f"<!--[if mso]>{ROW}<![endif]-->"
CLOSED = "<!--[if mso]></td></tr></table><![endif]-->"


@pytest.mark.parametrize(
    ("html", "found"),
    [
        (f"{HIDDEN}<p>Hi</p>{CLOSED}", []),
        ("<!--[if !mso]><!--><p>Hi</p><!--<![endif]-->", []),
        ("<!-- a note --><p>Hi</p>", []),
        (f"{HIDDEN}<p>Hi</p>", ["message.W008"] * 3),
        ("<!--[if mso]></table><![endif]-->", ["message.W008"]),
        ("<!--[if mso]><p>Hi</p>-->", ["message.W008"]),
        ("<!--[if !mso]><!--><p>Hi</p>", ["message.W008"]),
        ("<!--[if !mso]><!--><!--[if gte mso 9]><!--><p>Hi</p><!--<![endif]-->", ["message.W008"]),
        ("<p>Hi</p><!--<![endif]-->", ["message.W008"]),
        ("<!--[if mso]><table><tr><td></td></tr></table><![endif]-->", ["message.W009"]),
        ("<table><tr><td>Hi</td></tr></table>", ["message.W009"]),
        ('<table role="table"><tr><td>Hi</td></tr></table>', []),
        ('<img src="cid:a" alt="">', ["message.W010"]),
        ('<img src="cid:a" alt="" width="520">', []),
    ],
)
def test_problems(html: str, found: list[str]) -> None:
    """Each mistake is found, and correct markup has none."""
    assert [each.problem.id for each in outlook_problems(html)] == found


def test_words() -> None:
    """The words of a problem are those of the email, so that the check finds their line."""
    (found,) = outlook_problems('<p>Hi</p><table class="x"><tr><td>Hi</td></tr></table>')
    assert found.words == '<table class="x"'
