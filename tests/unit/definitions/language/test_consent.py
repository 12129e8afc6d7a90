"""Consent files: the repository's own, and the words for what is wrong with others."""

from __future__ import annotations

from datetime import timedelta
from importlib.resources import files

import pytest

from streams.core.model.consent_policy import ANY_COUNTRY, PURPOSES, TRANSACTIONAL, ConsentPolicy
from streams.definitions.language.consent import COUNTRIES, parse_policy
from tests.harness.events import shop_policy

GOOD = """\
order:
  "*": {verdict: allowed, law: GDPR, article: 6(1)(b)}
service:
  "*": {verdict: allowed, law: GDPR, article: 6(1)(b)}
marketing:
  "*": {verdict: needs_consent, law: ePrivacy, article: 13(1)}
  NO: {verdict: soft_opt_in, law: Markedsføringsloven, article: § 15}
  CA: {verdict: soft_opt_in, law: CASL, article: 10(9), within_days: 730}
review:
  "*": {verdict: own_opt_in, law: ePrivacy, article: 13(1)}
survey:
  "*": {verdict: own_opt_in, law: ePrivacy, article: 13(1)}
profile:
  "*": {verdict: needs_consent, law: ePrivacy, article: 13(1)}
"""


def parsed(text: str) -> ConsentPolicy:
    found = parse_policy(text)
    assert isinstance(found, ConsentPolicy), found
    return found


def test_a_good_file() -> None:
    """Lines arrive with their source; Norway is a country and not a no; who has no line gets the purpose's default."""
    policy = parsed(GOOD)
    assert not policy.is_built_in
    assert policy.line("marketing", "NO").article == "§ 15"
    assert policy.line("marketing", "CA").within == timedelta(days=730)
    assert policy.line("marketing", "DE") is policy.line("marketing", "")
    assert policy.line("marketing", "DE").country == ANY_COUNTRY
    assert len(policy.lines()) == 8


def test_the_shop_s_own_file() -> None:
    """Every purpose has a default and every country of the issue a line with its source; nothing but receipts is allowed everywhere."""
    policy = shop_policy()
    for purpose in PURPOSES:
        default = policy.line(purpose, ANY_COUNTRY)
        assert (default.verdict == "allowed") == (purpose in TRANSACTIONAL)
        for country in ("DK", "DE", "FR", "SE", "NO", "NL", "GB", "US", "CA"):
            assert (policy.line(purpose, country).country == country) == (purpose not in TRANSACTIONAL)
    assert all(line.law and line.article for line in policy.lines())
    assert [line.verdict for line in policy.lines() if line.country == "DE"] == [
        "soft_opt_in",
        "own_opt_in",
        "own_opt_in",
        "own_opt_in",
    ]


def test_countries_are_those_of_iso_3166() -> None:
    """The list is the time zone database's."""
    table = (files("tzdata") / "zoneinfo" / "iso3166.tab").read_text(encoding="utf-8")
    assert {row[:2] for row in table.splitlines() if not row.startswith("#")} == COUNTRIES


BROKEN = [
    ("order:\n", "orders:\n", "1:1: unknown key 'orders'; did you mean 'order'?"),
    (
        "profile:\n  \"*\": {verdict: needs_consent, law: ePrivacy, article: 13(1)}\n",
        "",
        "1:1: 'profile' is missing; add profile: …",
    ),
    ("survey:\n", "review: {}\nsurvey:\n", "11:1: the key 'review' is there twice; keep one of them"),
    ("  NO:", "  NOR:", "7:3: unknown country 'NOR'; two letters of ISO 3166-1, or \"*\""),
    ("  NO:", "  UK:", "7:3: unknown country 'UK'; did you mean 'GB'?"),
    ("  NO:", "  no:", "7:3: unknown country 'no'; did you mean 'NO'?"),
    ("  NO:", "  XX:", "7:3: unknown country 'XX'; two letters of ISO 3166-1, or \"*\""),
    ("  CA:", "  NO:", "8:3: the key 'NO' is there twice; keep one of them"),
    (
        '  "*": {verdict: needs_consent, law: ePrivacy, article: 13(1)}\n  NO',
        "  NO",
        "6:3: marketing has no line for all other countries; add \"*\": {verdict: …}",
    ),
    (
        "NO: {verdict: soft_opt_in",
        "NO: {verdict: soft_optin",
        "7:17: unknown verdict 'soft_optin'; did you mean 'soft_opt_in'?",
    ),
    (
        "NO: {verdict: soft_opt_in",
        "NO: {verdict: yes",
        "7:17: unknown verdict 'yes'; known: allowed, needs_consent, soft_opt_in, own_opt_in",
    ),
    ("NO: {verdict: soft_opt_in, ", "NO: {", "7:7: 'verdict' is missing; add verdict: …"),
    (", article: § 15", "", "7:7: 'article' is missing; add article: …"),
    ("law: Markedsføringsloven, ", "", "7:7: 'law' is missing; add law: …"),
    ("article: § 15", 'article: ""', "7:65: here a value is expected, and there is none; write one word, number or text"),
    ("article: § 15", "articel: § 15", "7:56: unknown key 'articel'; did you mean 'article'?"),
    ("law: Markedsføringsloven", "law: [a, b]", "7:35: here a single value is expected; write one word, number or text"),
    ("within_days: 730", "within_days: 2y", "8:70: '2y' is not a whole number between 1 and 3650; for example 1"),
    ("within_days: 730", "within_days: 0", "8:70: '0' is not a whole number between 1 and 3650; for example 1"),
    (
        "CA: {verdict: soft_opt_in",
        "CA: {verdict: allowed",
        "8:66: within_days counts from a purchase: soft_opt_in only; leave it out",
    ),
    (
        "CA: {verdict: soft_opt_in, law: CASL, article: 10(9), within_days: 730}",
        "CA: {verdict: own_opt_in, law: CASL, article: 10(9)}",
        "8:17: only profile, review, survey have an opt-in of their own; verdict: needs_consent",
    ),
    (
        'service:\n  "*": {verdict: allowed',
        'service:\n  "*": {verdict: soft_opt_in',
        "4:18: service mail is owed: it cannot need soft_opt_in; verdict: allowed",
    ),
    (
        "CA: {verdict: soft_opt_in, law: CASL, article: 10(9), within_days: 730}",
        "CA: soft_opt_in",
        "8:7: here a mapping is expected; key: value, with keys verdict, law, article, within_days",
    ),
    (
        'survey:\n  "*": {verdict: own_opt_in, law: ePrivacy, article: 13(1)}',
        "survey: own_opt_in",
        '11:9: here a mapping is expected; "*": {verdict: …, law: …, article: …}',
    ),
    (GOOD, "- a\n", "1:1: here a mapping is expected; key: value, with keys " + ", ".join(PURPOSES)),
    (GOOD, "", "1:1: the file is empty; add each of " + ", ".join(PURPOSES)),
    (
        GOOD,
        "order: {\n",
        "2:1: this is no YAML: expected the node content, but found '<stream end>'; look at the indentation, the colons and the brackets",
    ),
    (GOOD, "order: \x07\n", "1:8: the character '\\x07' cannot stand here; take it out"),
    (GOOD, "a: &x {}\norder: *x\n", "2:8: aliases (*) are not understood here; write it out"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "told"), BROKEN, ids=range(len(BROKEN)))
def test_what_is_wrong(old: str, new: str, told: str) -> None:
    """Each mistake is told where it is, with what would be right, in exactly these words."""
    assert old in GOOD
    found = parse_policy(GOOD.replace(old, new, 1))
    assert isinstance(found, list)
    assert [f"{one.line}:{one.column}: {one.problem}; {one.remedy}" for one in found] == [told]


def test_one_mistake_is_told_once_and_all_of_them_together() -> None:
    """A misspelt key is not missing as well, and two mistakes are told in the order of the file."""
    text = GOOD.replace("NO: {verdict: soft_opt_in", "NO: {verdct: soft_opt_in").replace("  CA:", "  CAN:")
    found = parse_policy(text)
    assert isinstance(found, list)
    assert [(one.line, one.problem) for one in found] == [(7, "unknown key 'verdct'"), (8, "unknown country 'CAN'")]
