"""From the records that the pools agent reads to codes, claims and withdrawals."""

from __future__ import annotations

from streams.core.offers.code_pool_records import Claim, Code, Withdrawal
from streams.wire.validation import Record, take_code, take_id, take_pool, take_time, take_time_or_none


def code_of(record: Record) -> Code:
    """The code of a record. Raises ValidationFailed."""
    return Code(take_pool(record), take_code(record), take_time_or_none(record, "expires_at"))


def claim_of(record: Record) -> Claim:
    """The claim of a record. Raises ValidationFailed."""
    return Claim(
        take_pool(record),
        take_id(record, "reward_id"),
        take_id(record, "customer_id"),
        record["flow"],
        record["flow_version"],
        take_id(record, "instance_id"),
        record["step"],
        record["order_id"],
        take_time(record["give_up_at"], "give_up_at", None),
    )


def claim_withdrawal_of(record: Record) -> Withdrawal:
    """The withdrawal of a record. Raises ValidationFailed."""
    return Withdrawal(
        take_pool(record), take_id(record, "reward_id"), take_time(record["give_up_at"], "give_up_at", None)
    )
