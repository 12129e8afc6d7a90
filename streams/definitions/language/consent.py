"""Reads consent.yaml into a consent policy, or reports every problem at its line and column."""

from __future__ import annotations

from datetime import timedelta
from typing import get_args

import yaml

from streams.core.rules.consent_policy import (
    ANY_COUNTRY,
    MINIMUM_AGE,
    OWN_SCOPES,
    PURPOSES,
    TRACKING,
    TRACKING_VERDICTS,
    TRANSACTIONAL,
    ConsentPolicy,
    PolicyLine,
    Verdict,
)
from streams.definitions.language.yaml_reader import Reader, empty, read_yaml
from streams.definitions.problems import Problem

_VERDICTS: tuple[str, ...] = get_args(Verdict)
_KEYS = ("verdict", "law", "article", "within_days")
_LONGEST_DAYS = 3650
_MINIMUM_AGE, _HIGHEST_AGE = "minimum_age", 99
# ISO 3166-1 alpha-2: without this check a line for an unknown country would silently never apply.
_CODES = """
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK
CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS
GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV
LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM
PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR
TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
"""
COUNTRIES = frozenset(_CODES.split())
_OFTEN_MEANT = {"UK": "GB", "EN": "GB", "EL": "GR"}


def parse_policy(text: str) -> ConsentPolicy | list[Problem]:
    """Return the policy in `text`, or all problems in it."""
    policy = read_yaml(text, _PolicyReader(), _PolicyReader.policy)
    return policy if isinstance(policy, list) else ConsentPolicy(policy[0], minimum_ages=policy[1])


class _PolicyReader(Reader):
    def policy(self, root: yaml.Node | None) -> tuple[list[PolicyLine], dict[str, int]]:
        """Return all lines (purpose, then country, then what that country requires), and the minimum ages by country."""
        lines: list[PolicyLine] = []
        ages: dict[str, int] = {}
        if root is None:
            self.error("consent.E001", empty("consent.yaml"), "empty file", f"add the keys {', '.join(PURPOSES)}")
            return lines, ages
        for purpose, node in self.mapping(root, (*PURPOSES, TRACKING, _MINIMUM_AGE), PURPOSES).items():
            if purpose == _MINIMUM_AGE:
                ages = self.ages(node)
                continue
            has_default = False
            pairs = self.pairs(node, f'"{ANY_COUNTRY}": {{verdict: …, law: …, article: …}}')
            for key, country, value in pairs:
                has_default = has_default or country == ANY_COUNTRY
                self.country(key, country)
                lines.append(self.line(purpose, country, value))
            if isinstance(node, yaml.MappingNode) and not has_default:
                hint = f'add "{ANY_COUNTRY}": {{verdict: …, law: …, article: …}}'
                self.error("consent.E002", node, f"{purpose} has no line for all other countries", hint)
        return lines, ages

    def ages(self, node: yaml.Node) -> dict[str, int]:
        """Return the minimum ages in years, by country."""
        ages: dict[str, int] = {}
        for key, country, value in self.pairs(node, f'{{"{ANY_COUNTRY}": {MINIMUM_AGE}}}'):
            self.country(key, country)
            ages[country] = self.number(value, 0, _HIGHEST_AGE)
        return ages

    def country(self, key: yaml.Node, name: str) -> None:
        """Note a country that does not exist."""
        if name == ANY_COUNTRY or name in COUNTRIES:
            return
        code = _OFTEN_MEANT.get(name.upper()) or (name.upper() if name.upper() in COUNTRIES else None)
        hint = f"the ISO 3166-1 code is {code}" if code else f'use two letters of ISO 3166-1, or "{ANY_COUNTRY}"'
        self.error("consent.E003", key, f"unknown country {name!r}", hint)

    def line(self, purpose: str, country: str, node: yaml.Node) -> PolicyLine:
        """Return what one country requires."""
        values = self.mapping(node, _KEYS, ("verdict", "law", "article"))
        text = self.filled(values["verdict"]) if "verdict" in values else ""
        verdict = self.choice(values["verdict"], _VERDICTS, "verdict", "") if text else ""
        if verdict and purpose in TRANSACTIONAL and verdict != "allowed":
            message = f"{purpose} emails are transactional and cannot require {verdict}"
            self.error("consent.E004", values["verdict"], message, "write `verdict: allowed`")
        elif verdict and purpose == TRACKING and verdict not in TRACKING_VERDICTS:
            message = f"`tracking` cannot require {verdict}"
            self.error("consent.E007", values["verdict"], message, "write `needs_consent` or `allowed`")
        elif verdict == "own_opt_in" and purpose not in OWN_SCOPES:
            message = f"`own_opt_in` exists only for {', '.join(sorted(OWN_SCOPES))}"
            self.error("consent.E005", values["verdict"], message, "write `verdict: needs_consent`")
        within = None
        if "within_days" in values:
            within = timedelta(days=self.number(values["within_days"], 1, _LONGEST_DAYS))
            if verdict and verdict != "soft_opt_in":
                message = "`within_days` counts from a purchase and needs `soft_opt_in`"
                self.error("consent.E006", values["within_days"], message, "remove it")
        return PolicyLine(
            purpose=purpose,
            country=country,
            verdict=verdict or "needs_consent",  # type: ignore[arg-type]  # choice gives one of the literals
            law=self.filled(values["law"]) if "law" in values else "",
            article=self.filled(values["article"]) if "article" in values else "",
            within=within,
        )
