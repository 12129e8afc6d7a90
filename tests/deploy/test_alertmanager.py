"""alertmanager.yml: valid, with a receiver for each severity, and with the names of alerts that exist."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from streams.settings import PROJECT_ROOT
from tests.harness.prometheus import require_program

ROOT = PROJECT_ROOT
ALERTMANAGER = ROOT / "deploy/alertmanager/alertmanager.yml"


def test_alertmanager_reads_its_configuration() -> None:
    """amtool accepts alertmanager.yml."""
    program = require_program("amtool", "prometheus-alertmanager")
    done = subprocess.run([program, "check-config", str(ALERTMANAGER)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _named(matcher: str) -> list[str]:
    """Return the alerts that a matcher of alertname selects by name."""
    match = re.fullmatch(r'alertname=~?"([^"]*)"', matcher)
    return match[1].split("|") if match else []


def test_inhibited_alerts_exist() -> None:
    """Each alert that a rule of inhibition names is an alert of deploy/prometheus/rules, and each stage is a stage."""
    files = [
        yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
        for path in (ROOT / "deploy/prometheus/rules").glob("*.yml")
    ]
    alerts = {rule["alert"] for file in files for group in file["groups"] for rule in group["rules"] if "alert" in rule}
    inhibitions = yaml.load(ALERTMANAGER.read_text(encoding="utf-8"), yaml.CSafeLoader)["inhibit_rules"]
    matchers = [
        matcher for rule in inhibitions for side in ("source", "target") for matcher in rule[f"{side}_matchers"]
    ]
    named = {name for matcher in matchers for name in _named(matcher)}
    assert len(named) > 10
    assert named - alerts == set()


@pytest.mark.parametrize(("severity", "receiver"), [("page", "page"), ("ticket", "ticket"), ("unknown", "ticket")])
def test_alerts_are_routed_by_severity(severity: str, receiver: str) -> None:
    """A page and a ticket reach their receivers; an alert without a known severity is not lost."""
    program = require_program("amtool", "prometheus-alertmanager")
    done = subprocess.run(
        [
            program,
            "config",
            "routes",
            "test",
            f"--config.file={ALERTMANAGER}",
            f"severity={severity}",
            "alertname=TakkX",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [receiver]
