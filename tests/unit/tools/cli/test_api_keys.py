"""`takk api-key create`, and the file of keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.gateway.api.keys import ROLES, KeyFile, KeyFileInvalid, create_key, file_line, read_keys
from streams.tools.cli import api_keys
from tests.unit.tools.cli.runner import run


def test_a_created_key_is_valid(tmp_path: Path) -> None:
    """The key is valid once its line is in the file, for its roles and its shop."""
    code, output = run("api-key", "create", "--role", "orders", "--role", "events", "--shop", "dk", "--name", "kasse å")
    text, line, *_ = output.splitlines()
    path = tmp_path / "keys.yaml"
    path.write_text(line + "\n", encoding="utf-8")
    key = KeyFile(path).find(text)
    assert code == 0
    assert key is not None
    assert (key.roles, key.shop, key.name) == ({"orders", "events"}, "dk", "kasse å")
    assert text.split("_", 2)[2] not in line


def test_roles_are_those_of_the_gateway() -> None:
    """The command offers the roles that the gateway knows."""
    assert api_keys._ROLES == ROLES


@pytest.mark.parametrize("arguments", [[], ["--role", "order"], ["--role", "orders", "--name", "x" * 101]])
def test_invalid_options(arguments: list[str]) -> None:
    """A missing or unknown role, and a name that is too long, are refused."""
    assert run("api-key", "create", *arguments)[0] == 2


def test_json_files(tmp_path: Path) -> None:
    """The file may be JSON, and an empty file has no keys."""
    _, key = create_key(["admin"])
    path = tmp_path / "keys.json"
    path.write_text(f"[{file_line(key)[2:]}]")
    assert read_keys(path) == {key.id: key}
    path.write_text("")
    assert read_keys(path) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1", "is not a list"),
        ("- a", "entry 1: expected a mapping"),
        ("- {ids: a}", "entry 1: unknown field 'ids'"),
        ("- {id: 12345678}", "id is not a text of hexadecimal digits"),
        ("- {id: '0123456789abcdef', hash: x}", "hash is not a text"),
        ("- {id: '0123456789abcdef', hash: '%s'}", "roles is not a list"),
        ("- {id: '0123456789abcdef', hash: '%s', roles: [order]}", "unknown role 'order' (did you mean 'orders'?)"),
        ("- {id: '0123456789abcdef', hash: '%s', roles: [[]]}", "unknown role [] (known:"),
        ("- {id: '0123456789abcdef', hash: '%s', roles: [admin], shop: 7}", "shop is not a text"),
        ("- &a {id: '0123456789abcdef', hash: '%s', roles: [admin]}\n- *a", "entry 2: duplicate id"),
        ("[", "neither valid YAML nor valid JSON"),
        ("\udcff", "neither valid YAML nor valid JSON"),
    ],
)
def test_invalid_files(tmp_path: Path, text: str, message: str) -> None:
    """An invalid file is refused with the entry and the reason."""
    path = tmp_path / "keys.yaml"
    path.write_bytes(text.replace("%s", "0" * 64).encode(errors="surrogateescape"))
    with pytest.raises(KeyFileInvalid) as error:
        read_keys(path)
    assert message in str(error.value)


def test_a_missing_file(tmp_path: Path) -> None:
    """A file that is missing is reported by its name."""
    with pytest.raises(KeyFileInvalid, match=r"cannot read the API keys in .*keys\.yaml: No such file"):
        read_keys(tmp_path / "keys.yaml")
