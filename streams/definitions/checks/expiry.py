"""Emails that can expire before they may be sent: in the quiet hours of the shop, or behind an earlier email of their own flow."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

from streams.core.instances.steps.wait import Wait
from streams.core.instances.steps.wait_for import WaitFor
from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.consent_policy import is_transactional
from streams.core.rules.flow import Send, Step
from streams.core.rules.sending_rules import Cap, QuietHours, SendingRules
from streams.core.values.text import counted
from streams.definitions.problems import Problem, problem_at

_DAY = timedelta(days=1)
_WEEK = 7


def check_expiry(compiled: CompiledFlow, rules: SendingRules) -> Iterator[Problem]:
    """Yield the emails of a flow that can expire in the quiet hours, and those that expire behind an earlier one."""
    for cap in rules.caps:
        yield from _behind_earlier(compiled.flow.steps, cap, [])
    quiet = rules.quiet
    if quiet is None:
        return
    waits = {compiled.next_step[path]: step for path, step in compiled.steps.items() if isinstance(step, Wait)}
    for path, send in compiled.steps.items():
        if not isinstance(send, Send) or is_transactional(send.purpose):
            continue  # the wait itself reports it
        wait = waits.get(path)
        at = wait.at if wait is not None and wait.clock == "customer" and wait.until is None else None
        if at is not None and _left(quiet, at) > timedelta():
            continue
        longest = _longest(quiet, at, wait.not_on if wait is not None and at is not None else frozenset())
        if send.expires < longest:
            message = f"the email expires after {_text(send.expires)}, but the quiet hours can last {_text(longest)}"
            yield problem_at(path, "flow.W009", message, "raise `expires`, or wait until a time of day before it")


def _behind_earlier(steps: tuple[Step, ...], cap: Cap, sent: list[timedelta]) -> Iterator[Problem]:
    """Yield the emails below `steps` that expire before a cap has a place again, because earlier emails of the flow took all of them.

    Args:
        steps: steps in their order.
        cap: the cap.
        sent: how long ago at most each earlier email was sent, the oldest first.
    """
    passed: list[timedelta] = [*sent]
    for step in steps:
        if isinstance(step, Wait):
            length = _longest_wait(step)
            passed = [each + length for each in passed] if length is not None else []
        elif isinstance(step, Send) and not is_transactional(step.purpose) and cap.covers(step.purpose):
            left = cap.per - passed[-cap.most] if len(passed) >= cap.most else timedelta()
            if step.expires < left:
                message = (
                    f"the email expires after {_text(step.expires)}, but the flow's earlier email takes its place under a cap of {cap.most} "
                    f"per {_text(cap.per)}"
                )
                yield problem_at(step.path, "flow.W010", message, "wait longer before it, or raise `expires`")
            passed.append(timedelta())
        elif step.inner:
            for branch in step.inner:
                length = step.up_to if isinstance(step, WaitFor) else timedelta()
                yield from _behind_earlier(branch, cap, [each + length for each in passed])
            passed = []  # the branches take different times


def _longest_wait(step: Wait) -> timedelta | None:
    """Return how long a wait may take; None if that is unknown."""
    if step.until is not None:
        return None
    length = step.months * timedelta(days=31) + timedelta(days=step.days) + step.more
    return length + (_DAY if step.at is not None else timedelta()) + (_WEEK * _DAY if step.not_on else timedelta())


def _left(quiet: QuietHours, at: time) -> timedelta:
    """Return how long the quiet hours of a day last from a time of day on; nothing if it is not in them."""
    due, begins, ends = (datetime.combine(date.min, each) for each in (at, quiet.begins, quiet.ends))
    return (ends - due) % _DAY if (due - begins) % _DAY < (ends - begins) % _DAY else timedelta()


def _longest(quiet: QuietHours, at: time | None, not_on: frozenset[int]) -> timedelta:
    """Return the longest time without emails for an email that is due `at` a time outside the quiet hours, and never on the days `not_on`.

    None: it may be due at any time.
    """
    days = _most_in_a_row(quiet.days)
    begins, ends = _since_midnight(quiet.begins), _since_midnight(quiet.ends)
    evening = _DAY - begins if begins > ends else timedelta()
    morning = ends if begins > ends or not begins else timedelta()
    if at is None:
        return max((ends - begins) % _DAY, evening + days * _DAY + morning if days else timedelta())
    if quiet.days <= not_on or not days:
        return timedelta()
    return days * _DAY - _since_midnight(at) + morning


def _since_midnight(at: time) -> timedelta:
    return timedelta(hours=at.hour, minutes=at.minute)


def _text(length: timedelta) -> str:
    hours, seconds = divmod(round(length.total_seconds()), 3600)
    return counted(hours, "hour") if not seconds else counted((hours * 3600 + seconds) // 60, "minute")


def _most_in_a_row(days: frozenset[int]) -> int:
    """Return the longest run of weekdays in `days`; Sunday is followed by Monday."""
    longest = current = 0
    for day in range(2 * _WEEK):
        current = current + 1 if day % _WEEK in days else 0
        longest = max(longest, current)
    return min(longest, len(days))
