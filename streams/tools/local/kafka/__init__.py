"""An embedded Kafka broker."""
