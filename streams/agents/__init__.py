"""The stages of the worker and the mailer, one per file, and their instrumentation."""
