"""The records that the pools stage reads: codes, claims and withdrawals of claims."""

from __future__ import annotations

from streams.core.offers.code_pool_records import Claim, Code, Withdrawal
from streams.wire.validation import Record, parse_code, parse_id, parse_optional_time, parse_pool, parse_time


def to_code(record: Record) -> Code:
    """Return the code of a record. Raise ValidationFailed."""
    return Code(parse_pool(record), parse_code(record), parse_optional_time(record, "expires_at"))


def to_claim(record: Record) -> Claim:
    """Return the claim of a record. Raise ValidationFailed."""
    return Claim(
        parse_pool(record),
        parse_id(record, "reward_id"),
        parse_id(record, "customer_id"),
        record["flow"],
        record["flow_version"],
        parse_id(record, "instance_id"),
        record["step"],
        record["order_id"],
        parse_time(record["give_up_at"], "give_up_at", None),
    )


def to_claim_withdrawal(record: Record) -> Withdrawal:
    """Return the withdrawal of a record. Raise ValidationFailed."""
    return Withdrawal(
        parse_pool(record), parse_id(record, "reward_id"), parse_time(record["give_up_at"], "give_up_at", None)
    )
