"""From the text of consent.yaml to the consent policy, or to everything that is wrong with it, each at its line and column."""

from __future__ import annotations

from datetime import timedelta
from typing import get_args

import yaml

from streams.core.model.consent_policy import (
    ANY_COUNTRY,
    OWN_SCOPES,
    PURPOSES,
    TRANSACTIONAL,
    ConsentPolicy,
    PolicyLine,
    Verdict,
)
from streams.definitions.language.yaml_reader import FlowError, Reader, empty, read_yaml

_VERDICTS: tuple[str, ...] = get_args(Verdict)
_KEYS = ("verdict", "law", "article", "within_days")
_LONGEST_DAYS = 3650
# ISO 3166-1 alpha-2: a line for a country that does not exist would never be used, and nobody would notice.
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


def parse_policy(text: str) -> ConsentPolicy | list[FlowError]:
    """The policy that `text` describes, or all that is wrong with it."""
    lines = read_yaml(text, _PolicyReader(), _PolicyReader.policy)
    return ConsentPolicy(lines) if isinstance(lines, tuple) else lines


class _PolicyReader(Reader):
    def policy(self, root: yaml.Node | None) -> tuple[PolicyLine, ...]:
        """All lines: purpose, then country, then what is needed there."""
        lines: list[PolicyLine] = []
        if root is None:
            self.wrong(empty("consent.yaml"), "the file is empty", f"add each of {', '.join(PURPOSES)}")
            return ()
        for purpose, node in self.mapping(root, PURPOSES, PURPOSES).items():
            has_default = False
            pairs = self.pairs(node, f'"{ANY_COUNTRY}": {{verdict: …, law: …, article: …}}')
            for key, country, value in pairs:
                has_default = has_default or country == ANY_COUNTRY
                self.country(key, country)
                lines.append(self.line(purpose, country, value))
            if isinstance(node, yaml.MappingNode) and not has_default:
                self.wrong(
                    node, f"{purpose} has no line for all other countries", f'add "{ANY_COUNTRY}": {{verdict: …}}'
                )
        return tuple(lines)

    def country(self, key: yaml.Node, name: str) -> None:
        """Note a country that does not exist."""
        if name == ANY_COUNTRY or name in COUNTRIES:
            return
        meant = _OFTEN_MEANT.get(name.upper()) or (name.upper() if name.upper() in COUNTRIES else None)
        remedy = f"did you mean {meant!r}?" if meant else f'two letters of ISO 3166-1, or "{ANY_COUNTRY}"'
        self.wrong(key, f"unknown country {name!r}", remedy)

    def line(self, purpose: str, country: str, node: yaml.Node) -> PolicyLine:
        """What one country needs."""
        values = self.mapping(node, _KEYS, ("verdict", "law", "article"))
        asked = self.filled(values["verdict"]) if "verdict" in values else ""
        verdict = self.choice(values["verdict"], _VERDICTS, "verdict", "") if asked else ""
        if verdict and purpose in TRANSACTIONAL and verdict != "allowed":
            self.wrong(values["verdict"], f"{purpose} mail is owed: it cannot need {verdict}", "verdict: allowed")
        elif verdict == "own_opt_in" and purpose not in OWN_SCOPES:
            words = f"only {', '.join(sorted(OWN_SCOPES))} have an opt-in of their own"
            self.wrong(values["verdict"], words, "verdict: needs_consent")
        within = None
        if "within_days" in values:
            within = timedelta(days=self.number(values["within_days"], 1, _LONGEST_DAYS))
            if verdict and verdict != "soft_opt_in":
                self.wrong(
                    values["within_days"], "within_days counts from a purchase: soft_opt_in only", "leave it out"
                )
        return PolicyLine(
            purpose=purpose,
            country=country,
            verdict=verdict or "needs_consent",  # type: ignore[arg-type]  # choice gives one of the literals
            law=self.filled(values["law"]) if "law" in values else "",
            article=self.filled(values["article"]) if "article" in values else "",
            within=within,
        )
