"""Consent files: the repository's own, and the errors in others."""

from __future__ import annotations

from datetime import timedelta
from importlib.resources import files

import pytest

from streams.core.rules.consent_policy import ANY_COUNTRY, PURPOSES, TRACKING, TRANSACTIONAL, ConsentPolicy
from streams.definitions.language.consent import COUNTRIES, parse_policy
from streams.definitions.problems import Problem
from tests.harness.events import TEMPLATES, shop_policy

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


#: The countries that the repository's own file knows.
COVERED = [
    "DK",
    "DE",
    "FR",
    "SE",
    "NO",
    "NL",
    "GB",
    "US",
    "CA",
    "FI",
    "IS",
    "FO",
    "GL",
    "AT",
    "CH",
    "PL",
    "BE",
    "IE",
    "ES",
    "IT",
    "PT",
]


def parsed(text: str) -> ConsentPolicy:
    policy = parse_policy(text)
    assert isinstance(policy, ConsentPolicy), policy
    return policy


def test_valid_file() -> None:
    """Lines have their source, `NO` is Norway, and a country without a line gets the default of the purpose."""
    policy = parsed(GOOD)
    assert not policy.is_built_in
    assert policy.line("marketing", "NO").article == "§ 15"
    assert policy.line("marketing", "CA").within == timedelta(days=730)
    assert policy.line("marketing", "DE") is policy.line("marketing", "")
    assert policy.line("marketing", "DE").country == ANY_COUNTRY
    assert len(policy.lines()) == 8


def test_own_file() -> None:
    """Every purpose has a default and 21 countries have lines with their sources; only transactional emails are always allowed."""
    policy = shop_policy()
    for purpose in PURPOSES:
        default = policy.line(purpose, ANY_COUNTRY)
        assert (default.verdict == "allowed") == (purpose in TRANSACTIONAL)
        for country in COVERED:
            assert (policy.line(purpose, country).country == country) == (purpose not in TRANSACTIONAL)
    assert all(line.law and line.article for line in policy.lines())
    assert [line.verdict for line in policy.lines() if line.country == "DE"] == [
        "soft_opt_in",
        "own_opt_in",
        "own_opt_in",
        "own_opt_in",
    ]


def test_tracking_needs_consent_everywhere() -> None:
    """The repository's own file lets no opens and clicks be measured without consent."""
    assert {policy_line.verdict for policy_line in shop_policy().lines() if policy_line.purpose == TRACKING} == {
        "needs_consent"
    }


def test_lines_with_open_questions_are_strict() -> None:
    """A line that asks counsel requires consent, in each purpose."""
    rows = [
        row for row in (TEMPLATES / "consent.yaml").read_text(encoding="utf-8").splitlines() if "# ask counsel" in row
    ]
    assert len(rows) >= 10
    assert all("needs_consent" in row for row in rows)


def test_a_file_with_tracking() -> None:
    """`tracking` has lines like a purpose, with two verdicts; it may be missing."""
    line = 'tracking:\n  "*": {verdict: %s, law: ePrivacy, article: 5(3)}\n'
    assert parsed(GOOD).line(TRACKING, "DK").verdict == "needs_consent"
    assert parsed(GOOD + line % "allowed").line(TRACKING, "DK").verdict == "allowed"


def test_minimum_ages() -> None:
    """`minimum_age` has a number of years for each country; 18 for those without one, and without the key."""
    ages = 'minimum_age:\n  "*": 16\n  DK: 15\n  US: 0\n'
    assert parsed(GOOD).minimum_age("DK") == shop_policy().minimum_age("DK") == 18
    assert [parsed(GOOD + ages).minimum_age(country) for country in ("DK", "US", "SE")] == [15, 0, 16]
    assert parsed(GOOD + "minimum_age: {DK: 15}\n").minimum_age("SE") == 18


def test_countries_are_those_of_iso_3166() -> None:
    """The countries are those of the time zone database."""
    table = (files("tzdata") / "zoneinfo" / "iso3166.tab").read_text(encoding="utf-8")
    assert {row[:2] for row in table.splitlines() if not row.startswith("#")} == COUNTRIES


INVALID = [
    (
        "survey:\n",
        'tracking:\n  "*": {verdict: soft_opt_in, law: L, article: 1}\nsurvey:\n',
        "consent.E007 12:18",
    ),
    (
        "survey:\n",
        'tracking:\n  "*": {verdict: own_opt_in, law: L, article: 1}\nsurvey:\n',
        "consent.E007 12:18",
    ),
    ("order:\n", "minimum_age: {DK: young}\norder:\n", "yaml.E013 1:19"),
    ("order:\n", "minimum_age: {DK: 120}\norder:\n", "yaml.E013 1:19"),
    ("order:\n", "minimum_age: {UK: 18}\norder:\n", "consent.E003 1:15"),
    ("order:\n", "minimum_age: 18\norder:\n", "yaml.E005 1:14"),
    ("order:\n", "orders:\n", "yaml.E010 1:1"),
    (
        "profile:\n  \"*\": {verdict: needs_consent, law: ePrivacy, article: 13(1)}\n",
        "",
        "yaml.E011 1:1",
    ),
    ("survey:\n", "review: {}\nsurvey:\n", "yaml.E009 11:1"),
    ("  NO:", "  NOR:", "consent.E003 7:3"),
    ("  NO:", "  UK:", "consent.E003 7:3"),
    ("  NO:", "  no:", "consent.E003 7:3"),
    ("  NO:", "  XX:", "consent.E003 7:3"),
    ("  CA:", "  NO:", "yaml.E009 8:3"),
    (
        '  "*": {verdict: needs_consent, law: ePrivacy, article: 13(1)}\n  NO',
        "  NO",
        "consent.E002 6:3",
    ),
    (
        "NO: {verdict: soft_opt_in",
        "NO: {verdict: soft_optin",
        "yaml.E012 7:17",
    ),
    (
        "NO: {verdict: soft_opt_in",
        "NO: {verdict: yes",
        "yaml.E012 7:17",
    ),
    ("NO: {verdict: soft_opt_in, ", "NO: {", "yaml.E011 7:7"),
    (", article: § 15", "", "yaml.E011 7:7"),
    ("law: Markedsføringsloven, ", "", "yaml.E011 7:7"),
    ("article: § 15", 'article: ""', "yaml.E008 7:65"),
    ("article: § 15", "articel: § 15", "yaml.E010 7:56"),
    ("law: Markedsføringsloven", "law: [a, b]", "yaml.E007 7:35"),
    ("within_days: 730", "within_days: 2y", "yaml.E013 8:70"),
    ("within_days: 730", "within_days: 0", "yaml.E013 8:70"),
    (
        "CA: {verdict: soft_opt_in",
        "CA: {verdict: allowed",
        "consent.E006 8:66",
    ),
    (
        "CA: {verdict: soft_opt_in, law: CASL, article: 10(9), within_days: 730}",
        "CA: {verdict: own_opt_in, law: CASL, article: 10(9)}",
        "consent.E005 8:17",
    ),
    (
        'service:\n  "*": {verdict: allowed',
        'service:\n  "*": {verdict: soft_opt_in',
        "consent.E004 4:18",
    ),
    (
        "CA: {verdict: soft_opt_in, law: CASL, article: 10(9), within_days: 730}",
        "CA: soft_opt_in",
        "yaml.E005 8:7",
    ),
    (
        'survey:\n  "*": {verdict: own_opt_in, law: ePrivacy, article: 13(1)}',
        "survey: own_opt_in",
        'yaml.E005 11:9',
    ),
    (GOOD, "- a\n", "yaml.E005 1:1"),
    (GOOD, "", "consent.E001 1:1"),
    (
        GOOD,
        "order: {\n",
        "yaml.E001 2:1",
    ),
    (GOOD, "order: \x07\n", "yaml.E003 1:8"),
    (GOOD, "a: &x {}\norder: *x\n", "yaml.E002 2:8"),
]  # fmt: skip


def errors_in(text: str) -> list[Problem]:
    """The problems of a policy."""
    parsed = parse_policy(text)
    assert isinstance(parsed, list)
    return parsed


@pytest.mark.parametrize(("old", "new", "error"), INVALID, ids=range(len(INVALID)))
def test_errors(old: str, new: str, error: str) -> None:
    """Each error has its id and position."""
    assert old in GOOD
    problems = errors_in(GOOD.replace(old, new, 1))
    assert [f"{problem.id} {problem.location.line}:{problem.location.column}" for problem in problems] == [error]


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("UK", "the ISO 3166-1 code is GB"),
        ("no", "the ISO 3166-1 code is NO"),
        ("XX", 'use two letters of ISO 3166-1, or "*"'),
    ],
)
def test_hints_for_countries(written: str, hint: str) -> None:
    """A common wrong code gets the right one as a hint."""
    (problem,) = errors_in(GOOD.replace("  NO:", f"  {written}:"))
    assert problem.hint == hint


def test_all_errors_together() -> None:
    """All errors are reported in the order of the file, and a misspelt key is not missing as well."""
    text = GOOD.replace("NO: {verdict: soft_opt_in", "NO: {verdct: soft_opt_in").replace("  CA:", "  CAN:")
    problems = errors_in(text)
    assert [(problem.location.line, problem.id) for problem in problems] == [(7, "yaml.E010"), (8, "consent.E003")]
