"""Options and helpers that several commands share. Everything heavy is imported late, so that the help answers at once."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from streams.definitions.loader import Templates
    from streams.settings import Settings

Result = TypeVar("Result")


def read_settings(**overrides: Any) -> Settings:
    """Return the settings from the environment, with the `overrides` that are not None.

    Raises:
        click.ClickException: a setting is invalid.
    """
    from streams.observability.log_filter import mask_secrets
    from streams.settings import SettingsError, load_settings

    try:
        settings = load_settings(**{name: value for name, value in overrides.items() if value is not None})
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    mask_secrets(settings.secret_values())
    return settings


def on_kafka(settings: Settings, action: Callable[[], Result]) -> Result:
    """Return the result of `action`, called once the broker and the schema registry (if there is one) have answered.

    Raises:
        click.ClickException: one of them does not answer, or Kafka reports an error during `action`.
    """
    from confluent_kafka import KafkaException

    from streams.tools.operations.doctor import CheckFailed, broker

    try:
        broker(settings)
        check_registry(settings)
        return action()
    except CheckFailed as error:
        raise click.ClickException(str(error)) from error
    except KafkaException as error:
        raise click.ClickException(
            f"Kafka at {settings.kafka_bootstrap_servers}: {error.args[0].str()}. Run `takk doctor` to check the configuration."
        ) from error
    except TimeoutError as error:
        raise click.ClickException(str(error)) from error


def check_registry(settings: Settings) -> None:
    """Check that the schema registry answers, if there is one.

    Raises:
        click.ClickException: it does not answer, or refuses the login.
    """
    from streams.tools.operations.doctor import CheckFailed, registry

    if settings.schema_registry_url:
        try:
            registry(settings)
        except CheckFailed as error:
            raise click.ClickException(str(error)) from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError in the block into a message that names `path`."""
    try:
        yield
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error.strerror}") from error


def show_progress(what: str = "read", unit: str = "offsets") -> Callable[[int, int], None]:
    """Return a callback (done, total) that prints the progress on stderr, every two seconds."""
    last = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > 2:
            last = time.monotonic()
            click.echo(f"{what} {done:,} of {total:,} {unit}", err=True)

    return show


class Number(click.FloatRange):
    """A number within bounds. `click.FloatRange` alone accepts `nan`, which is neither below nor above a bound."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or fail with a usage error."""
        number = float(super().convert(value, param, ctx))
        return self.fail(f"{value!r} is not a number", param, ctx) if math.isnan(number) else number


class Since(click.ParamType):
    """A time in the past: a duration such as 2h, or a time in UTC such as 2026-03-02T09:00."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the time in UTC, or fail with a usage error."""
        if isinstance(value, datetime):
            return value
        try:
            if match := re.fullmatch(r"(\d{1,6})([smhd])", value):
                at = datetime.now(UTC) - timedelta(**{_UNITS[match[2]]: int(match[1])})
            else:
                at = datetime.fromisoformat(value)
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a time: use for example 30m, 2h, 3d or 2026-03-02T09:00 (UTC)", param, ctx)
        return max(at, _EPOCH)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
#: More days would reach before 1970, or past the last year of a datetime.
DAYS = Number(0, 10_000)

templates_dir_option = click.option(
    "--templates",
    "templates_dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory that contains the flows. Default: TAKK_TEMPLATES_DIR.",
)


def read_valid_templates(settings: Settings) -> Templates:
    """Return the flows, segments and rules of the templates directory.

    Raises:
        click.ClickException: there are errors; each is printed.
    """
    from streams.core.values.text import counted
    from streams.definitions.loader import read_templates

    templates = read_templates(settings.templates_dir)
    if templates.errors:
        for problem in templates.errors:
            click.echo(str(problem), err=True)
        raise click.ClickException(
            f"{counted(len(templates.errors), 'error')}. Run `takk flows check` for the complete list."
        )
    return templates
