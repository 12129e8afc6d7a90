"""Kafka clients: topics, readers, retries, partitioner and limits."""
