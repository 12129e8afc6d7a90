"""Job `engine`: the reference job on Takk's runtime and on other stream processors, in the same run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.bench.context import BENCH_DIR, Context, Result, median

RUNNERS = Path(__file__).parent / "runners"
QUIX = "quixstreams==3.28.1"
STREAMS_JARS = (
    "org.apache.kafka:kafka-streams:3.9.1+org.apache.kafka:kafka-clients:3.9.1+com.fasterxml.jackson.core:jackson-databind:2.16.2"
    "+org.slf4j:slf4j-nop:1.7.36"
)
GUARANTEES = {
    "takk": "exactly once", "limit": "exactly once", "kafka-streams": "exactly once", "quix": "at least once", "faust": "at least once"
}  # fmt: skip


def quix_python(context: Context) -> Path:
    """Return the Python of an environment with Quix Streams, which is created on first use."""
    folder = BENCH_DIR / "peers" / "quix"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        context.log(f"installing {QUIX} into its own environment")
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", QUIX], check=True)
        (folder / "ready").touch()
    return python


def streams_command(context: Context) -> list[str] | None:
    """Return the command that starts the Kafka Streams job, or None without `javac` and `java`."""
    javac, java = shutil.which("javac"), shutil.which("java")
    if javac is None or java is None:
        return None
    import jgo

    folder = BENCH_DIR / "peers" / "kafka-streams"
    listing = folder / "classpath"
    if not listing.exists():
        context.log("downloading Kafka Streams and compiling the job")
        environment = jgo.build(STREAMS_JARS, cache_dir=folder / "jars")
        jars = ":".join(sorted(str(p.absolute()) for p in Path(environment.path).rglob("*.jar")))
        subprocess.run([javac, "-cp", jars, "-d", str(folder), str(RUNNERS / "KafkaStreamsJob.java")], check=True)
        listing.write_text(jars)
    return [java, "-Xmx1g", "-cp", f"{folder}:{listing.read_text()}", "KafkaStreamsJob"]


def run(context: Context) -> list[Result]:
    """Measure each runner in turn, `context.runs` times."""
    python = sys.executable
    module = [python, "-m"]
    records = dict.fromkeys(("takk", "limit", "quix", "kafka-streams"), context.records)
    records["faust"] = max(1, context.records // 10)
    commands: dict[str, list[str] | None] = {
        "takk": [*module, "tests.bench.runners.takk"],
        "limit": [*module, "tests.bench.runners.limit"],
        "quix": [str(quix_python(context)), "-m", "tests.bench.runners.quix"],
        "kafka-streams": streams_command(context),
        "faust": [*module, "tests.bench.runners.faust_stock"],
    }
    rates: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(context.runs):
        for runner, command in commands.items():
            if command is None:
                context.log(f"skipping {runner}: javac or java is not installed")
                continue
            run_id, count = context.new_run_id(runner), records[runner]
            topic = context.order_topic(count)
            context.create_topics(f"delay-{run_id}")
            if runner in ("takk", "limit", "faust"):
                context.create_topics(f"{run_id}-state-changelog", **{"cleanup.policy": "compact"})
            done, seconds = context.run_to_result(
                [*command, context.kafka.bootstrap, topic, str(count), run_id, str(context.state)]
            )
            rates[runner].append(done / seconds)
            context.log(f"engine {number + 1}/{context.runs} {runner}: {done / seconds:,.0f}/s")
            shutil.rmtree(context.state / run_id, ignore_errors=True)
            created = [t for t in context.admin.list_topics(timeout=10).topics if run_id in t]
            for future in context.admin.delete_topics(created).values():
                future.result()
    ours = median(rates["takk"])
    return [
        Result(
            "engine", runner, median(values), GUARANTEES[runner], records[runner], [round(v, 1) for v in values],
            {} if runner == "takk" else {"takk_times": round(ours / median(values), 2)},
        )
        for runner, values in rates.items()
        if values
    ]  # fmt: skip
