"""Batches of records, processed and committed in one Kafka transaction."""
