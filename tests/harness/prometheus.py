"""A real Prometheus that a test starts: it scrapes the given processes, evaluates the rules, and answers queries."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.settings import PROJECT_ROOT
from streams.tools.local.kafka.ports import free_port

RULES = PROJECT_ROOT / "deploy" / "prometheus" / "rules"
#: Seconds that Prometheus may take to start, and to stop.
START_S = 60.0
STOP_S = 20.0
#: Seconds after which a request to Prometheus fails.
REQUEST_S = 30.0


class QueryError(RuntimeError):
    """Prometheus rejected a query. The message has its error and the query."""


def find_program(program: str, package: str) -> str:
    """Return the path of a program that a Debian package installs.

    Args:
        program: like `prometheus`.
        package: the Debian package that has it, like `prometheus`.

    Raises:
        FileNotFoundError: it is not installed; the message says how to install it.
    """
    path = shutil.which(program)
    if path is None:
        raise FileNotFoundError(f"{program} is not installed (on Debian and Ubuntu: apt-get install {package})")
    return path


def require_program(program: str, package: str) -> str:
    """Return the path of a program; skip the test if it is not installed, and fail it under `CI=true`."""
    try:
        return find_program(program, package)
    except FileNotFoundError as error:
        if os.environ.get("CI", "").lower() in ("true", "1"):
            pytest.fail(f"{error}; CI needs it", pytrace=False)
        pytest.skip(str(error))


@dataclass(frozen=True)
class Target:
    """A process that Prometheus scrapes.

    Attributes:
        address: host and port of its metrics, like `127.0.0.1:8080`.
        role: `worker` or `mailer`.
        shop: the value of the target label `shop`.
        instance: the value of the label `instance`; empty: the address.
    """

    address: str
    role: str
    shop: str = "shop"
    instance: str = ""


@dataclass(frozen=True)
class Series:
    """A series in the result of a query.

    Attributes:
        labels: with `__name__`, if the result has a name.
        points: (Unix time in seconds, value), the oldest first. The result of an instant query has one point.
    """

    labels: dict[str, str]
    points: tuple[tuple[float, float], ...]

    @property
    def value(self) -> float:
        """The newest value."""
        return self.points[-1][1]


class PrometheusApi:
    """The HTTP API of a running Prometheus.

    Args:
        url: its address, like `http://127.0.0.1:9090`.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def query(self, expression: str, at: float | None = None) -> list[Series]:
        """Return the result of an instant query; a scalar is one series without labels.

        Args:
            expression: PromQL.
            at: Unix time in seconds; None: now.

        Raises:
            QueryError: Prometheus rejected the query.
        """
        data = self._get("query", query=expression, **({} if at is None else {"time": at}))
        if data["resultType"] in ("scalar", "string"):
            return [Series({}, (_point(data["result"]),))]
        return [
            Series(entry["metric"], tuple(map(_point, entry.get("values") or [entry["value"]])))
            for entry in data["result"]
        ]

    def query_range(self, expression: str, start: float, end: float, step_s: float) -> list[Series]:
        """Return the result of a range query; `start` and `end` are Unix times in seconds.

        Raises:
            QueryError: Prometheus rejected the query.
        """
        data = self._get("query_range", query=expression, start=start, end=end, step=step_s)
        return [Series(entry["metric"], tuple(map(_point, entry["values"]))) for entry in data["result"]]

    def series(self, selector: str) -> list[dict[str, str]]:
        """Return the labels of all series that match `selector`, whenever they were scraped."""
        found: list[dict[str, str]] = self._get("series", **{"match[]": selector, "start": 0, "end": time.time() + 60})
        return found

    def names(self) -> set[str]:
        """Return the names of all metrics, with those of recording rules."""
        return set(self._get("label/__name__/values"))

    def rules(self) -> list[dict[str, Any]]:
        """Return the rules of all groups, with their `health` and `lastError`."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def alerts(self) -> list[dict[str, Any]]:
        """Return the pending and firing alerts, with their labels, annotations and state."""
        found: list[dict[str, Any]] = self._get("alerts")["alerts"]
        return found

    def targets(self) -> list[dict[str, Any]]:
        """Return the scraped targets, with `labels`, `health` and `lastError`."""
        found: list[dict[str, Any]] = self._get("targets")["activeTargets"]
        return found

    def _get(self, path: str, **parameters: object) -> Any:
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=REQUEST_S) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            with contextlib.suppress(ValueError, KeyError):
                text = json.loads(text)["error"]
            raise QueryError(f"{text}: {parameters.get('query', path)}") from error


class Prometheus(PrometheusApi):
    """A Prometheus of its own, with its own folder and port.

    Args:
        folder: for its configuration, data and log.
        targets: the processes of job `takk`. Job `prometheus` is this Prometheus.
        rules: the folder of the rule files; a missing folder has no rules.
        interval_s: seconds between scrapes, and between evaluations of rules, which replaces the intervals of groups.
        is_patient: whether alerts wait before they fire, as their `for` says.
        alertmanager: host and port to which alerts are sent, also scraped as job `alertmanager`; empty: none.
        config: a configuration file to use as it is, in place of all arguments above.
    """

    def __init__(
        self,
        folder: Path,
        targets: Sequence[Target] = (),
        rules: Path = RULES,
        interval_s: float = 1.0,
        is_patient: bool = True,
        alertmanager: str = "",
        config: Path | None = None,
    ) -> None:
        self.folder = folder
        self.log_file = folder / "prometheus.log"
        self.port = free_port()
        super().__init__(f"http://127.0.0.1:{self.port}")
        self._targets = tuple(targets)
        self._rules = rules
        self._interval_s = interval_s
        self._is_patient = is_patient
        self._alertmanager = alertmanager
        self._config = config
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it is ready.

        Raises:
            FileNotFoundError: Prometheus is not installed.
            RuntimeError: it did not start; the message has the end of its log.
        """
        program = find_program("prometheus", "prometheus")
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self._config or self._write_config()
        command = [
            program,
            f"--config.file={config}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            "--storage.tsdb.retention.time=1d",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        with self.log_file.open("ab") as log:
            self._child = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, process_group=0)
        deadline = time.monotonic() + START_S
        while not self._is_ready():
            if self._child.poll() is not None or time.monotonic() > deadline:
                self.stop()
                tail = "\n".join(self.log_file.read_text(errors="replace").splitlines()[-8:])
                raise RuntimeError(f"Prometheus did not start. Its log is {self.log_file}:\n{tail}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it, and all processes of its group. Its data remains in the folder."""
        child, self._child = self._child, None
        if child is None:
            return
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(STOP_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()

    def __enter__(self) -> Prometheus:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=REQUEST_S) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _write_config(self) -> Path:
        interval = f"{round(self._interval_s * 1000)}ms"
        rules = self.folder / "rules"
        rules.mkdir(exist_ok=True)
        for file in sorted(self._rules.glob("*.yml")):
            content = yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader)
            for group in content["groups"]:
                group.pop("interval", None)
                for rule in () if self._is_patient else group["rules"]:
                    rule.pop("for", None)
            (rules / file.name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        static = [
            {
                "targets": [target.address],
                "labels": {
                    "role": target.role,
                    "shop": target.shop,
                    **({"instance": target.instance} if target.instance else {}),
                },
            }
            for target in self._targets
        ]
        jobs = [
            {"job_name": "takk", "static_configs": static},
            {"job_name": "prometheus", "static_configs": [{"targets": [f"127.0.0.1:{self.port}"]}]},
        ]
        config: dict[str, Any] = {
            "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
            "rule_files": [str(rules / "*.yml")],
            "scrape_configs": jobs,
        }
        if self._alertmanager:
            managers = [{"targets": [self._alertmanager]}]
            jobs.append({"job_name": "alertmanager", "static_configs": managers})
            config["alerting"] = {"alertmanagers": [{"static_configs": managers}]}
        path = self.folder / "prometheus.yml"
        path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        return path


def _point(pair: Sequence[Any]) -> tuple[float, float]:
    return float(pair[0]), float(pair[1])
