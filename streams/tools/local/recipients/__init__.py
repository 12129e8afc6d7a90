"""The simulated recipients: what was sent to them, and what they do with it, on Kafka or over HTTP as a browser does."""
