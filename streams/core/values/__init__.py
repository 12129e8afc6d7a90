"""Small values: ids, money, local time, holidays, buckets, text and tokens."""
