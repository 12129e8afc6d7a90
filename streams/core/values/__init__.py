"""Small values: ids, fingerprints, buckets, money, local time, holidays, text and tokens."""
