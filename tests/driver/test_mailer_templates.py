"""New templates roll out: a mailer with the older ones gets the command of an email that only the newer ones have."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from streams.agents import mailer
from streams.core.model.effects import ResendMail
from streams.core.values.local_time import utc_from_ms
from streams.mail.mailer import Mailer
from streams.mail.rendering.email_brand import EmailBrand
from streams.mail.rendering.renderer import Renderer
from streams.wire import topics
from streams.wire.encode.encoder import Encoder
from tests.harness.agents import CODEC, Agent, Output
from tests.harness.commands import SENDER
from tests.harness.effects import SEND
from tests.harness.records import AT_MS
from tests.harness.simulated_mail_server import Server

AT = utc_from_ms(AT_MS)
MESSAGE = "{% block main %}Hello{% endblock %}"


def templates(folder: Path, **flows: tuple[int, str]) -> tuple[Path, dict[str, int]]:
    """Write a folder with flows, each with its newest version and one message. Return it with the versions."""
    for name, (_, message) in flows.items():
        copy = folder / "flows" / "group" / name / "copy"
        copy.mkdir(parents=True)
        (copy.parent / f"{message}.html.j2").write_text(MESSAGE, encoding="utf-8")
        (copy / "en.yaml").write_text(f"{message}.subject: Hello\n", encoding="utf-8")
    return folder, {name: version for name, (version, _) in flows.items()}


def agent_of(folder: Path, server: Server, found: tuple[Path, dict[str, int]]) -> Agent:
    """Return the mailer stage with these templates."""
    pool: Any = server
    work = Mailer(
        Renderer(found[0], EmailBrand(name="Shop"), is_styled=False),
        SENDER,
        pool,
        newest_versions=found[1],
        clock=lambda: AT,
    )
    return Agent(folder, lambda app, instrumentation: mailer.register(app, instrumentation, work))


def outcomes(outputs: list[Output]) -> list[tuple[str, str]]:
    """Return the recipient's send and outcome of each report."""
    records = [CODEC.decode("email_event", value or b"") for topic, _, value in outputs if topic == topics.EVENTS]
    return [(record["send_id"], record["outcome"]) for record in records]


def test_the_email_of_newer_templates_is_sent_by_the_next_mailer(tmp_path: Path) -> None:
    """The older mailer sends the others and schedules a retry; the newer one sends the email, once."""
    older = templates(tmp_path / "older", welcome=(1, "hello"))
    newer = templates(tmp_path / "newer", welcome=(2, "hello"), thanks=(1, "thanks"))
    encode, server = Encoder(CODEC).effects.encode, Server()
    sends = [
        replace(SEND, send_id=send_id, flow=flow, flow_version=version, message=message, to_address=f"{send_id}@p.example")
        for send_id, flow, version, message in [("a", "welcome", 1, "hello"), ("b", "welcome", 2, "hello"), ("c", "thanks", 1, "thanks")]
    ]  # fmt: skip
    commands = [encode(send, AT) for send in sends]
    agent = agent_of(tmp_path / "disk", server, older)
    outputs = agent.run([record[:3] for record in commands], at_ms=AT_MS)
    assert sorted(outcomes(outputs)) == [("a", "sent"), ("b", "deferred"), ("c", "deferred")]
    timers = [CODEC.decode("timer", value or b"") for topic, _, value in outputs if topic == topics.DELAYS]
    assert [(timer["send_id"], timer["attempt"]) for timer in timers] == [("b", 2), ("c", 2)]
    agent.store.close()
    shutil.rmtree(tmp_path / "older")
    agent = agent_of(tmp_path / "disk", server, newer)
    retries = [
        encode(ResendMail(send_id=timer["send_id"], customer_id="c1", attempt=timer["attempt"], command=timer["command"]), AT)
        for timer in timers
    ]  # fmt: skip
    assert outcomes(agent.run([record[:3] for record in retries * 2], at_ms=AT_MS)) == [("b", "sent"), ("c", "sent")]
    assert sorted(server.accepted) == ["a@p.example", "b@p.example", "c@p.example"]
    agent.store.close()
