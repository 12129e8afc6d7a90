"""Names of people: what an email may print of a name that a stranger typed into a form, and which part of it is the first name.

An email is signed by the shop. A name that contains a link would turn the shop's own email into a stranger's advertisement.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_LONGEST = 40
_MOST_WORDS = 8
# NFKC changes full-width letters and dots to plain ones, but not this full stop, which browsers read as a dot.
_IDEOGRAPHIC_STOP = "\u3002"
# A dot between a letter or digit and two letters: programs make a link of it, whatever the letters are. "J.R. Berg" has no such dot.
_DOMAIN = re.compile(r"[^\W_]\.(?:[^\W\d_]{2}|xn--)", re.I)
_NUMBERS = re.compile(r"\d\.\d+\.\d+\.\d")
_LINK = re.compile(r"//|\\\\|@|\bwww\b|\bh(?:tt|xx)ps?\b|\bmailto\b|[\[({<]\s*(?:\.|dot)\s*[\])}>]", re.I)
#: Characters that no name of one person has.
_NOT_IN_NAMES = re.compile(r"[\d$€£!?%#*=<>{}\[\]|~^:;/]")
#: Between the parts of a first name: hyphen, apostrophes and middle dot.
_JOINTS = re.compile("([-'\u2019\u02bc\u00b7])")
_VOWELS = frozenset("AEIOUY")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Words before a name, in lowercase and without dots.
_TITLES = _words(
    """
    dr dres prof professor doc docent mr mrs ms miss mx sir madam lady lord rev hon hr herr frau fru frk frøken fröken fräulein
    mme mlle madame monsieur mademoiselle sr sra srta señor señora doña sig sigra signor signora dott dottssa dhr mevr mw mevrouw meneer
    ing ir dipl dipling mag magister lic cand stud pan pani inż mgr
    """
)
#: Words behind a comma that are not a first name, in lowercase and without dots.
_AFTER_NAMES = _words("jr sr junior senior ii iii iv phd md mba msc bsc ma ba llm dds rn esq cpa")
#: Words that only names of companies, associations and shops have, in lowercase and without dots.
_COMPANIES = _words(
    """
    inc incorporated ltd limited llc llp lp plc corp corporation co company gmbh mbh ag kg kgaa ohg ug ek ev eg gbr se
    a/s aps i/s k/s p/s amba fmba ivs as asa ans ab hb kb aktiebolag oy oyj ab/oy bv bvba nv vof cv sa sas sarl sàrl sasu eurl sprl
    spa srl sl slu slne lda ltda sgps spzoo sro zoo kft zrt doo ehf hf sf pty pte
    group gruppe gruppen holding holdings shop store butik butikken team firma forening foreningen verein stiftung kommune universitet
    school skole hotel restaurant café salon klinik clinic studio agency solutions services consulting international
    """
)
#: Words that forms send in place of an unknown name.
_PLACEHOLDERS = _words(
    "guest gæst gast gäst gjest invité kunde customer client klant user unknown undefined null none nan anonymous test tester admin"
)
#: Words between two people, or two owners of a company. Those of one letter are only meant in lowercase: "Ann E Smith" is one person.
_PAIRS = _words("& + og och und and et en y e i")


@lru_cache(maxsize=1024)  # an order asks for it twice: for the recipient of its email, and for the first name
def printable_name(name: str) -> str:
    """Return a name as an email may print it, without control characters; "" if it contains an address, a link or a domain."""
    text = name
    if not name.isprintable():
        text = "".join([char if char.isprintable() else " " for char in name if unicodedata.category(char) != "Cf"])
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text).replace(_IDEOGRAPHIC_STOP, ".")
    if not any(char.isalpha() for char in plain):
        return ""
    if _LINK.search(plain) or _DOMAIN.search(plain) or _NUMBERS.search(plain):
        return ""
    return " ".join(text.split())


@lru_cache(maxsize=1024)  # an order asks for it twice: for its email and for the customer's page
def first_name(name: str) -> str:
    """Return the first name if it is clear which part of `name` it is, else "".

    "Anna" for "Anna Hansen", "ANNA HANSEN", "Hansen, Anna" and "Dr. Anna Hansen". Companies, couples, initials, a title with a family name
    alone ("Mr. Hansen") and names that `printable_name` rejects have none.
    """
    words = printable_name(name).replace(",", " , ").split()
    if not words or len(words) > _MOST_WORDS or not _is_of_one_person(words):
        return ""
    is_given_only = False  # "Hansen, Anna": the part behind the comma has only first names
    if "," in words:
        comma = words.index(",")
        is_given_only = not all(_plain(word) in _AFTER_NAMES for word in words[comma + 1 :])
        words = words[comma + 1 :] if is_given_only else words[:comma]
    count = len(words)
    while words and _plain(words[0]) in _TITLES:
        words = words[1:]
    if not words or (len(words) == 1 < count and not is_given_only):
        return ""
    first = words[0]
    if first.isupper() and not all(word.isupper() or word.islower() for word in words):
        return ""  # "DUPONT Jean" and "JP Morgan": the word in capitals is a family name, or initials
    return _as_first_name(first)


def _plain(word: str) -> str:
    return word.casefold().replace(".", "")


def _is_of_one_person(words: list[str]) -> bool:
    """Return whether no word shows that the name is that of a company, of two people, or of nobody."""
    for word in words:
        plain = _plain(word)
        if plain in _COMPANIES or plain in _PLACEHOLDERS or _NOT_IN_NAMES.search(word):
            return False
        if plain in _PAIRS and (len(word) > 1 or not word.isupper()):
            return False
    return words.count(",") <= 1


def _as_first_name(word: str) -> str:
    """Return a word as a first name in a sentence, or "" if it is an initial, an abbreviation or not a name."""
    parts = _JOINTS.split(word)
    if len(word) > _LONGEST or not all(map(_has_only_letters, parts[::2])):
        return ""
    if word.lower() == word.upper():
        return word  # a script without capitals
    if len(word) == 1 or (word.isupper() and word.isascii() and _VOWELS.isdisjoint(word)):
        return ""
    if word.isupper() or word.islower():
        # "\u0130" in lowercase is an i with a second dot, as a character of its own.
        return "".join([part.capitalize() for part in parts]).replace("i\u0307", "i")
    return word


def _has_only_letters(text: str) -> bool:
    return bool(text) and all(unicodedata.category(char)[0] in "LM" for char in text)
