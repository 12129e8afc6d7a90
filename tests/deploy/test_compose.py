"""docker-compose.yml without a container engine: valid, hardened, and consistent with the settings, commands and files that it names."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from jsonschema import Draft202012Validator

from streams.settings import FROM_FILE, PROJECT_ROOT, Settings, env_name, load_settings
from streams.tools.cli.main import main
from tests.harness.compose import COMPOSE, MAIL_SERVER, MissingVariable, environment, load, mounts, variables
from tests.harness.prometheus import require_program

ROOT = PROJECT_ROOT
#: An `.env` for a real mail server.
MAIL_ENV = {
    "SMTP_HOST": "smtp.shop.example",
    "SMTP_USERNAME": "takk",
    "TAKK_MAIL_FROM": "My Shop <hello@shop.example>",
    "TAKK_MAIL_BASE_URL": "https://mail.shop.example",
}
PROJECT = load(COMPOSE)
WITH_MAIL_SERVER = load(COMPOSE, MAIL_SERVER, env=MAIL_ENV)
SERVICES: dict[str, dict[str, Any]] = PROJECT["services"]
TAKK = [name for name, service in SERVICES.items() if service["image"] == "takk:local"]
#: Services that have no health check: a job, and a simulation for trials.
UNPROBED = ["topics", "shop"]
PROCESSES = [name for name in TAKK if name not in UNPROBED]
SCHEMA = Draft202012Validator(json.loads((Path(__file__).parent / "compose-spec.json").read_text(encoding="utf-8")))
PROMETHEUS = yaml.load((ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8"), yaml.CSafeLoader)
ALERTMANAGER = ROOT / "deploy/alertmanager/alertmanager.yml"


def errors(project: dict[str, Any]) -> list[str]:
    """Return where a project breaks the Compose specification."""
    return [f"{error.json_path}: {error.message}" for error in SCHEMA.iter_errors(project)]


def address_of(url: str) -> tuple[str, int]:
    """Return host and port of an address such as `http://kafka:9092`."""
    host, port = re.sub(r"^\w+://", "", url).split(":")
    return host, int(port)


@pytest.mark.parametrize("project", [PROJECT, WITH_MAIL_SERVER])
def test_the_specification_is_met(project: dict[str, Any]) -> None:
    """The file, and the file with a mail server, are valid by the JSON schema of the Compose specification."""
    assert errors(project) == []


@pytest.mark.parametrize(("key", "value"), [("mem_limt", "1g"), ("cap_drop", "ALL"), ("ports", [{"target": []}])])
def test_the_specification_finds_mistakes(key: str, value: Any) -> None:
    """A misspelt key and a value of a wrong type break the specification."""
    project = copy.deepcopy(PROJECT)
    project["services"]["mailer"][key] = value
    assert errors(project)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_hardened(name: str) -> None:
    """A service has a read-only root, no capabilities, no new privileges, limits, rotated logs and time to stop."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"privileged", "cap_add", "pid", "ipc", "devices", "network_mode"} & service.keys() == set()
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert 0 < service["cpus"] <= 2
    assert 0 < service["pids_limit"] <= 500
    assert {"max-size", "max-file"} <= service["logging"]["options"].keys()
    assert re.fullmatch(r"\d+s", service["stop_grace_period"])
    assert all(source.startswith("./") is mode.endswith(":ro") for source, mode in _modes(service))


def _modes(service: dict[str, Any]) -> list[tuple[str, str]]:
    """Return each volume's source, and its whole entry."""
    return [(volume.partition(":")[0], volume) for volume in service.get("volumes", ())]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_supervised(name: str) -> None:
    """A service that stays is restarted, has a health check, and starts after the services that it needs are healthy."""
    service = SERVICES[name]
    assert service["restart"] == ("on-failure" if name == "topics" else "unless-stopped")
    if name in UNPROBED:
        assert service["healthcheck"] == {"disable": True}
    else:
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
        assert {"interval", "timeout", "retries", "start_period"} <= service["healthcheck"].keys()
    for other, wait in service.get("depends_on", {}).items():
        expected = "service_completed_successfully" if other == "topics" else "service_healthy"
        assert wait == {"condition": expected}


def test_only_a_trial_simulates_a_shop() -> None:
    """Orders are invented only if the profile demo is named, and all other services run without a profile."""
    assert {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service} == {
        "shop": ["demo"]
    }


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_pinned(name: str) -> None:
    """An image has a complete version; Takk's is built from this source tree."""
    service = SERVICES[name]
    if name in TAKK:
        assert (ROOT / service["build"]["dockerfile"]).is_file()
        assert (ROOT / service["build"]["context"]).samefile(ROOT)
    else:
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", service["image"])


def test_ports_are_local() -> None:
    """Published ports listen on 127.0.0.1 only, each once; of Takk only the gateway publishes one, and not the one with its metrics."""
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert published
    assert all(re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port) for port in published)
    assert len(set(published)) == len(published)
    assert {name: SERVICES[name]["ports"] for name in TAKK if "ports" in SERVICES[name]} == {
        "gateway": ["127.0.0.1:8000:8000"]
    }
    assert environment(SERVICES["gateway"])["TAKK_GATEWAY_PORT"] == "8000"


@pytest.mark.parametrize("project", [PROJECT, WITH_MAIL_SERVER])
def test_secrets_are_only_where_they_are_read(project: dict[str, Any]) -> None:
    """A service has exactly the secrets whose files its settings name, and no setting has a secret as its value."""
    secret_settings = {env_name(field) for field in FROM_FILE}
    for name, service in project["services"].items():
        settings = environment(service)
        read = {value.removeprefix("/run/secrets/") for value in settings.values() if value.startswith("/run/secrets/")}
        assert set(service.get("secrets", ())) == read, name
        assert not secret_settings & settings.keys(), name
    assert all("secrets" not in project["services"][name] for name in UNPROBED)
    assert all(
        project["services"][name]["secrets"] == ["reward_secret", "address_secret"] for name in ("worker-1", "worker-2")
    )
    used = {secret for service in project["services"].values() for secret in service.get("secrets", ())}
    assert used == project["secrets"].keys()
    for secret, source in project["secrets"].items():
        assert source == {"file": f"deploy/secrets/{secret}"}
        ignored = subprocess.run(["git", "check-ignore", "-q", source["file"]], cwd=ROOT, check=False)
        assert ignored.returncode in (0, 128)


@pytest.mark.parametrize("name", SERVICES)
def test_mounted_files_exist(name: str) -> None:
    """Each mounted file and folder is in the source tree, and each volume is declared."""
    for target, source in mounts(SERVICES[name]).items():
        if source.startswith("./"):
            assert (ROOT / source).exists(), target
            assert (ROOT / source).is_file() or any((ROOT / source).iterdir()), target
        else:
            assert source == "tmpfs" or source in PROJECT["volumes"], target


@pytest.mark.parametrize("project", [PROJECT, WITH_MAIL_SERVER])
@pytest.mark.parametrize("name", TAKK)
def test_settings_are_valid(
    name: str, project: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each variable of a Takk service is a setting, and the values are valid together."""
    known = {env_name(field) for field in Settings.model_fields} | {f"{env_name(field)}_FILE" for field in FROM_FILE}
    settings = environment(project["services"][name])
    assert settings.keys() <= known
    (tmp_path / "secret").write_text("5d6ad4a0c4b1f2e79a3c8d5e")
    for variable in known:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in settings.items():
        monkeypatch.setenv(variable, str(tmp_path / "secret") if variable.endswith("_FILE") else value)
    loaded = load_settings()
    assert loaded.kafka_bootstrap_servers == "kafka:9092"
    if name == "mailer" and project is WITH_MAIL_SERVER:
        assert (loaded.smtp_host, loaded.smtp_port, loaded.smtp_tls) == ("smtp.shop.example", 587, "starttls")
        assert loaded.smtp_password is not None


@pytest.mark.parametrize("name", TAKK)
def test_paths_of_settings_are_mounted(name: str) -> None:
    """The paths that settings name are mounted: the state on a volume, the templates from the source tree, secrets as files."""
    service = SERVICES[name]
    paths = {variable: value for variable, value in environment(service).items() if value.startswith("/")}
    secrets = {f"/run/secrets/{secret}" for secret in service.get("secrets", ())}
    for variable, path in paths.items():
        assert path in secrets if variable.endswith("_FILE") else path in mounts(service), variable
    if name in PROCESSES:
        assert mounts(service)[paths["TAKK_STATE_DIR"]] in PROJECT["volumes"]
        assert mounts(service)[paths["TAKK_TEMPLATES_DIR"]] == "./templates"


@pytest.mark.parametrize("name", TAKK)
def test_commands_exist(name: str) -> None:
    """The command of a Takk service is one of `takk`, with options that it has."""
    program, *words = SERVICES[name]["command"]
    assert program == "takk"
    command: click.Command = main
    while words and isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    command.make_context(name, words, resilient_parsing=False)


def test_each_process_has_its_own_name_and_disk() -> None:
    """No two processes share a name in the group or a volume: static membership needs the name, and RocksDB the disk."""
    names = [environment(SERVICES[name])["TAKK_GROUP_INSTANCE_ID"] for name in PROCESSES]
    disks = [mounts(SERVICES[name])["/state"] for name in PROCESSES]
    assert len(set(names)) == len(set(disks)) == len(PROCESSES) == 4
    assert [SERVICES[name]["command"][1] for name in PROCESSES] == ["worker", "worker", "mailer", "gateway"]


def test_grafana_opens_a_dashboard() -> None:
    """The home page is a dashboard of the source tree, and no visitor can log in or edit."""
    settings = environment(SERVICES["grafana"])
    home = Path(settings["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    folder = ROOT / mounts(SERVICES["grafana"])[str(home.parent)]
    assert json.loads((folder / home.name).read_text(encoding="utf-8"))["uid"] == "takk-overview"
    assert settings["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert settings["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == settings["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"


def test_variables_are_settings_with_defaults() -> None:
    """Without an `.env` every variable has a default; each has the name of a setting."""
    known = {env_name(field) for field in Settings.model_fields}
    assert variables(COMPOSE) | variables(MAIL_SERVER) <= known
    assert "${" not in json.dumps(PROJECT)
    assert all(environment(service).values() for service in SERVICES.values() if "environment" in service)


@pytest.mark.parametrize("variable", MAIL_ENV)
def test_a_missing_variable_is_explained(variable: str) -> None:
    """With a mail server, a missing variable is an error that says where to set it, and to what."""
    with pytest.raises(MissingVariable, match=rf"^{variable}: set it in \.env to "):
        load(COMPOSE, MAIL_SERVER, env={name: value for name, value in MAIL_ENV.items() if name != variable})


def test_services_reach_the_hosts_that_they_name() -> None:
    """Each host in a setting is a service that shares a network with its client; Grafana and Prometheus do not reach Kafka."""
    clients = [
        (name, value) for name in TAKK for key, value in environment(SERVICES[name]).items() if "BOOTSTRAP" in key
    ]
    clients += [
        ("mailer", f"{environment(SERVICES['mailer'])['SMTP_HOST']}:{environment(SERVICES['mailer'])['SMTP_PORT']}")
    ]
    clients += [("grafana", environment(SERVICES["grafana"])["PROMETHEUS_URL"])]
    clients += [("prometheus", target) for target in _targets() if not target.startswith("localhost")]
    clients += [("alertmanager", yaml.load(ALERTMANAGER.read_text(), yaml.CSafeLoader)["global"]["smtp_smarthost"])]
    assert len(clients) > 8
    for client, url in clients:
        host, port = address_of(url)
        assert set(SERVICES[client]["networks"]) & set(SERVICES[host]["networks"]), (client, url)
        assert port in {"kafka": (9092,), "mailpit": (1025,), "prometheus": (9090,), "alertmanager": (9093,)}.get(
            host, (int(environment(SERVICES[host]).get("TAKK_WEB_PORT", 0)),)
        )
    assert SERVICES["kafka"]["networks"] == ["pipeline"]
    assert all(SERVICES[name]["networks"] == ["monitoring"] for name in ("prometheus", "alertmanager", "grafana"))
    assert {network for service in SERVICES.values() for network in service["networks"]} == PROJECT["networks"].keys()


def _targets() -> list[str]:
    """Return all addresses in prometheus.yml."""
    static = [entry for job in PROMETHEUS["scrape_configs"] for entry in job["static_configs"]]
    static += [entry for manager in PROMETHEUS["alerting"]["alertmanagers"] for entry in manager["static_configs"]]
    return [target for entry in static for target in entry["targets"]]


def test_prometheus_scrapes_every_process() -> None:
    """Each worker, mailer and gateway is a target with its role and its shop; the health check asks the port that is scraped."""
    (job,) = [job for job in PROMETHEUS["scrape_configs"] if job["job_name"] == "takk"]
    roles = {target: entry["labels"] for entry in job["static_configs"] for target in entry["targets"]}
    expected = {
        f"{name}:{environment(SERVICES[name])['TAKK_WEB_PORT']}": {"shop": "shop", "role": SERVICES[name]["command"][1]}
        for name in PROCESSES
    }
    assert roles == expected
    for name in PROCESSES:
        assert environment(SERVICES[name])["TAKK_WEB_HOST"] == "0.0.0.0"
        assert (
            f"127.0.0.1:{environment(SERVICES[name])['TAKK_WEB_PORT']}/readyz"
            in SERVICES[name]["healthcheck"]["test"][-1]
        )


def test_prometheus_reads_its_configuration() -> None:
    """promtool accepts prometheus.yml with all its rules."""
    program = require_program("promtool", "prometheus")
    done = subprocess.run(
        [program, "check", "config", str(ROOT / "deploy/prometheus/prometheus.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rules found" in done.stdout
