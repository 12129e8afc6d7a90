"""Renderer processes: they render and compose emails beside the mailer, which then has its time for Kafka and the mail server."""
