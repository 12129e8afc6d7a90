"""Every service of docker-compose.yml that this machine has, run without containers: its command, environment and health check.

The embedded Kafka stands for the service kafka, with the broker's environment, and the repository's inbox stands for Mailpit. Prometheus
and Alertmanager are Debian's, with the real configuration and rules. Grafana and Mailpit do not run here.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka.admin import AdminClient, ConfigResource

from streams.mail.tokens import LinkKeys
from streams.settings import PROJECT_ROOT
from streams.tools.local.inbox.server import Inbox
from streams.tools.local.kafka.broker import EmbeddedKafka, Member
from streams.wire import topics
from tests.harness.compose import COMPOSE, environment, load
from tests.harness.prometheus import PrometheusApi, require_program
from tests.harness.services import Network, Service
from tests.harness.stack import wait_until

PROJECT = load(COMPOSE)
PROCESSES = ("worker-1", "worker-2", "mailer", "gateway")
RULES = PROJECT_ROOT / "deploy" / "prometheus" / "rules"
#: Environment variables of Kafka's image that are not properties of the broker.
NOT_PROPERTIES = {"KAFKA_HEAP_OPTS"}


class ComposedKafka(EmbeddedKafka):
    """The embedded broker with the properties that docker-compose.yml sets, on local ports and folders."""

    def __init__(self, data_dir: Path, network: Network) -> None:
        super().__init__(data_dir, network.port("kafka", 9092))
        self._network = network

    def _settings(self, member: Member) -> str:
        lines = []
        for name, value in environment(PROJECT["services"]["kafka"]).items():
            if name in NOT_PROPERTIES:
                continue
            # A listener without a host listens on all addresses.
            value = self._network.rewritten(value.replace("://:", "://kafka:"), "kafka", {"kafka"})
            value = str(self.data_dir / "logs") if name == "KAFKA_LOG_DIRS" else value
            lines.append(f"{name.removeprefix('KAFKA_').lower().replace('_', '.')}={value}")
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Running:
    """The running services.

    Attributes:
        services: by name; the job `topics` has ended.
        topics_output: what the job printed at its first and at its second run.
        kafka: the broker.
        inbox: receives the emails of the mailer and of Alertmanager.
        prometheus: answers queries.
        shop: simulates orders; not started.
        unhealthy_before: the services whose health check failed before their start.
    """

    services: dict[str, Service]
    topics_output: tuple[str, str]
    kafka: EmbeddedKafka
    inbox: Inbox
    prometheus: PrometheusApi
    shop: Service
    unhealthy_before: set[str]


def _faster(config: Any) -> Any:
    """Return a configuration with all its intervals and waits shortened to a second; a test cannot wait for a minute."""
    if isinstance(config, dict):
        short = {"scrape_interval", "scrape_timeout", "evaluation_interval", "interval", "group_wait"}
        return {key: "1s" if key in short else _faster(value) for key, value in config.items()}
    return [_faster(value) for value in config] if isinstance(config, list) else config


def _shorten(*files: Path) -> None:
    for file in files:
        config = _faster(yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader))
        file.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Start everything in the order of `depends_on`, and stop it."""
    require_program("prometheus", "prometheus")
    require_program("prometheus-alertmanager", "prometheus-alertmanager")
    require_program("wget", "wget")
    folder = tmp_path_factory.mktemp("compose")
    with ExitStack() as stack:
        inbox = stack.enter_context(Inbox(journal=folder / "inbox.jsonl"))
        network = Network({"mailpit:1025": inbox.smtp_port})
        kafka = stack.enter_context(ComposedKafka(folder / "kafka", network))
        secrets = {
            "mail_secret": "5d6ad4a0c4b1f2e79a3c8d5e",
            "reward_secret": "c41b8e02d97f65a3e8107d4c",
            "address_secret": "0e7a5c3f9b1d48e2a6c4f08b",
        }
        names = ("topics", "shop", *PROCESSES, "alertmanager", "prometheus")
        services = {name: Service(name, PROJECT, folder, network, secrets) for name in names}
        _shorten(services["alertmanager"].path("/etc/alertmanager/alertmanager.yml"))
        _shorten(services["prometheus"].path("/etc/prometheus/prometheus.yml"))
        _shorten(*services["prometheus"].path("/etc/prometheus/rules").glob("*.yml"))
        job, shop = services.pop("topics"), services.pop("shop")
        stack.callback(shop.stop)
        output = (_finish(job), _finish(job))
        unhealthy = {name for name, service in services.items() if not service.is_healthy()}
        for name, service in services.items():
            stack.callback(service.stop)
            port = {"alertmanager": 9093, "prometheus": 9090}.get(name)
            # Inside a container all addresses are its own; here each service has a port.
            service.start(*([f"--web.listen-address=127.0.0.1:{service.port(port)}"] if port else []))
        for service in services.values():
            _wait_until_healthy(service)
        api = PrometheusApi(f"http://127.0.0.1:{services['prometheus'].port(9090)}")
        yield Running(services, output, kafka, inbox, api, shop, unhealthy)


def _finish(job: Service) -> str:
    done = job.run()
    assert done.returncode == 0, done.stderr
    return done.stdout


def _wait_until_healthy(service: Service) -> None:
    def healthy() -> bool:
        assert service.is_alive, f"{service.name} ended:\n{service.tail()}"
        return service.is_healthy()

    wait_until(healthy, f"{service.name} is healthy:\n{service.tail()}", 120.0)


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def test_the_broker_has_the_properties(running: Running) -> None:
    """Kafka knows every property that docker-compose.yml sets, and reports its value; for an unknown one it reports none."""
    admin = AdminClient({"bootstrap.servers": running.kafka.bootstrap})
    broker = ConfigResource(ConfigResource.Type.BROKER, "1")
    reported = admin.describe_configs([broker], request_timeout=30)[broker].result()
    written = dict(
        line.split("=", 1) for line in (running.kafka.data_dir / "server.properties").read_text().splitlines()
    )
    assert len(written) > 10
    assert {name: entry.value for name, entry in reported.items() if name in written} == written


def test_the_job_creates_the_topics(running: Running) -> None:
    """The job creates all topics and ends with 0, also when they exist."""
    existing = AdminClient({"bootstrap.servers": running.kafka.bootstrap}).list_topics(timeout=10).topics
    assert {spec.name for spec in topics.TOPICS} <= existing.keys()
    assert running.topics_output[0].startswith("Created: ")
    assert running.topics_output[1].startswith("All topics exist")


def test_health_checks_tell_health(running: Running) -> None:
    """Each health check failed before its service was started, and succeeds now."""
    assert running.unhealthy_before == running.services.keys()
    for name, service in running.services.items():
        wait_until(service.is_healthy, f"{name} is healthy", 60.0)


def test_orders_become_emails(running: Running) -> None:
    """The simulated shop places orders; their confirmations arrive in the inbox, with the default sender."""
    assert running.inbox.mails() == []
    running.shop.start()
    wait_until(lambda: bool(running.inbox.mails(".example")), "an order confirmation arrives", 120.0)
    assert b'From: "My Shop" <hello@shop.example>' in running.inbox.mails(".example")[0].raw
    assert running.shop.stop() == 0, running.shop.tail()
    assert "The shop is closed: " in running.shop.tail()


def test_the_links_of_an_email(running: Running) -> None:
    """The gateway answers a link that the mailer's settings seal, and none of another shop or secret."""
    env = running.services["mailer"].env
    secret = Path(env["TAKK_MAIL_SECRET_FILE"]).read_text(encoding="utf-8").strip().encode()
    shop = env.get("TAKK_SHOP_ID", "shop")

    def status(keys: LinkKeys) -> int:
        token = keys.seal("u", "c-1", "s-1", "marketing", datetime.now(UTC))
        port = running.services["gateway"].port(8000)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/u/{token}", timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    assert status(LinkKeys(shop, secret)) == 200
    assert status(LinkKeys("another", secret)) == 404
    assert status(LinkKeys(shop, b"x" * 32)) == 404


def test_prometheus_scrapes_everything(running: Running) -> None:
    """All targets of the configuration are up; each process has the labels that the rules need."""
    expected = {("takk", role) for role in ("worker", "mailer", "gateway")} | {
        ("prometheus", None),
        ("alertmanager", None),
    }

    def up() -> bool:
        targets = running.prometheus.targets()
        return len(targets) == 6 and {target["health"] for target in targets} == {"up"}

    wait_until(up, "all targets are up", 60.0)
    labels = [target["labels"] for target in running.prometheus.targets()]
    assert {(label["job"], label.get("role")) for label in labels} == expected
    assert [label["shop"] for label in labels if label["job"] == "takk"] == ["shop"] * 4
    assert {series.labels["role"] for series in running.prometheus.query('up{job="takk"} == 1')} == {
        "worker",
        "mailer",
        "gateway",
    }


def test_every_rule_is_evaluated(running: Running) -> None:
    """Prometheus loads every rule of deploy/prometheus/rules, and evaluates each without an error."""
    files = [yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader) for file in sorted(RULES.glob("*.yml"))]
    count = sum(len(group["rules"]) for file in files for group in file["groups"])
    assert count > 30
    wait_until(
        lambda: "unknown" not in {rule["health"] for rule in running.prometheus.rules()},
        "all rules are evaluated",
        60.0,
    )
    rules = running.prometheus.rules()
    assert len(rules) == count
    assert [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] != "ok"] == []


def test_alerts_reach_the_inbox(running: Running) -> None:
    """Prometheus is connected to Alertmanager, and an alert arrives by its severity as an email that links the runbook."""
    expected = [{"url": f"{_alertmanager(running)}/api/v2/alerts"}]
    url = f"{running.prometheus.url}/api/v1/alertmanagers"
    wait_until(lambda: _get(url)["data"]["activeAlertmanagers"] == expected, "Prometheus finds Alertmanager", 60.0)
    _raise_alerts(
        running,
        {"alertname": "TakkLagHigh", "severity": "page", "shop": "shop", "stage": "flows"},
        {"alertname": "TakkTimersLate", "severity": "ticket", "shop": "shop"},
    )
    for address in ("on-call@shop.example", "team@shop.example"):
        wait_until(lambda address=address: bool(running.inbox.mails(address)), f"the alert reaches {address}", 60.0)
    raw = running.inbox.mails("on-call@shop.example")[0].raw
    assert b"[firing] page: TakkLagHigh (shop)" in raw
    assert b"public/runbooks/TakkLagHigh.md" in raw
    assert b"d/takk-pipeline" in raw


#: Pairs of labels besides the shop: an alert that fires, another one, and whether the second is not sent.
INHIBITIONS = [
    ("TakkLagHigh page stage=flows", "TakkLagHigh ticket stage=flows", True),
    ("TakkLagHigh page stage=flows", "TakkLagHigh ticket stage=popularity", False),
    ("TakkTargetMissing page role=mailer", "TakkTargetDown ticket role=mailer instance=m", True),
    ("TakkTargetMissing page role=mailer", "TakkTargetDown ticket role=worker instance=w", False),
    ("TakkTargetDown ticket role=worker instance=w", "TakkLoopBlocked ticket role=worker instance=w", True),
    ("TakkTargetDown ticket role=worker instance=w", "TakkDiskAlmostFull page role=worker instance=w", False),
    ("TakkTargetDown ticket role=worker instance=w", "TakkPoolEmpty ticket pool=spring", False),
    ("TakkMailServerDown page instance=m", "TakkHandoverBudgetBurn page slo=handover", True),
    ("TakkMailServerDown page instance=m", "TakkLagHigh page stage=mailer", True),
    ("TakkMailServerDown page instance=m", "TakkLagHigh page stage=flows", False),
    ("TakkMailServerSlow ticket", "TakkPartitionStuck page stage=mailer partition=0", True),
    ("TakkKafkaUnreachable page", "TakkHeartbeatMissing page partition=0", True),
    ("TakkPartitionStuck page stage=flows partition=1", "TakkHeartbeatMissing page partition=1", True),
    ("TakkPartitionStuck page stage=flows partition=1", "TakkHeartbeatMissing page partition=2", False),
]


def _labels(text: str, shop: str) -> dict[str, str]:
    name, severity, *more = text.split()
    return {"alertname": name, "severity": severity, "shop": shop} | dict(label.split("=") for label in more)


def test_alerts_that_only_follow_are_not_sent(running: Running) -> None:
    """Alertmanager inhibits an alert that follows from another one of the same shop, and no other alert."""
    pairs = {f"shop-{number}": pair for number, pair in enumerate(INHIBITIONS)}
    first = [_labels(cause, shop) for shop, (cause, _, _) in pairs.items()]
    _raise_alerts(running, *first, *(_labels(effect, shop) for shop, (_, effect, _) in pairs.items()))

    def inhibited() -> set[str]:
        alerts = _get(f"{_alertmanager(running)}/api/v2/alerts?inhibited=true")
        return {alert["labels"]["shop"] for alert in alerts if alert["status"]["inhibitedBy"]} & pairs.keys()

    expected = {shop for shop, (_, _, is_inhibited) in pairs.items() if is_inhibited}
    wait_until(lambda: expected <= inhibited(), "the effects are inhibited", 60.0)
    alerts = _get(f"{_alertmanager(running)}/api/v2/alerts")
    states = {alert["status"]["state"] for alert in alerts if alert["labels"]["shop"] in pairs}
    assert states == {"active", "suppressed"}
    assert inhibited() == expected


def _alertmanager(running: Running) -> str:
    return f"http://127.0.0.1:{running.services['alertmanager'].port(9093)}"


def _raise_alerts(running: Running, *labels: dict[str, str]) -> None:
    """Send firing alerts with these labels to Alertmanager."""
    notes = {"summary": "A test.", "description": "Nothing is wrong.", "dashboard_url": "/d/takk-pipeline"}
    body = json.dumps([{"labels": each, "annotations": notes} for each in labels]).encode()
    url = f"{_alertmanager(running)}/api/v2/alerts"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def test_nothing_is_written_outside_mounts(running: Running) -> None:
    """No service writes into its home or its working directory: the root file system of a container is read-only."""
    services = [*running.services.values(), running.shop]
    assert [path for service in services for path in service.read_only.rglob("*")] == []


def test_services_stop_in_time(running: Running) -> None:
    """A worker, the mailer and the gateway end with 0 within their grace periods, and their health checks then fail."""
    for name in ("worker-1", "mailer", "gateway"):
        assert running.services[name].stop() == 0, running.services[name].tail()
        assert not running.services[name].is_healthy()
