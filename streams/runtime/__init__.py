"""Kafka, RocksDB and transactions under Faust. Nothing here depends on email."""
