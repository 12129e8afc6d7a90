"""The names of Jinja's functions, filters, tests and methods that the sandbox treats specially."""

from __future__ import annotations

#: Jinja's functions that make texts of any length, and that a template of an email does not need.
REMOVED = ("lipsum",)
#: The filters whose time does not depend on the size of their value.
CHEAP_FILTERS = frozenset({"attr", "count", "d", "default", "first", "items", "last", "length"})
#: The tests that compare their value with another one.
COMPARING_TESTS = ("eq", "==", "equalto", "ne", "!=", "gt", ">", "greaterthan", "ge", ">=", "lt", "<", "lessthan", "le", "<=", "in")  # fmt: skip
#: The methods of texts that a template may call. The sandbox bounds those that make longer texts.
METHODS = frozenset(
    {"capitalize", "casefold", "center", "count", "endswith", "expandtabs", "find", "index", "isalnum", "isalpha", "isascii", "isdecimal"}
    | {"isdigit", "islower", "isnumeric", "isspace", "istitle", "isupper", "join", "ljust", "lower", "lstrip", "partition", "removeprefix"}
    | {"removesuffix", "replace", "rfind", "rindex", "rjust", "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip"}
    | {"swapcase", "title", "upper", "zfill", "striptags", "unescape", "encode", "format", "format_map", "isidentifier", "isprintable"}
)  # fmt: skip
