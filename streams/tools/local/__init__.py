"""The full stack on one machine: Kafka, a simulated shop, an inbox and the demo."""
