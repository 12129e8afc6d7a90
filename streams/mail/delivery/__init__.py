"""SMTP, bounces and the ledger of sends."""
