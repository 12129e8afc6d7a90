"""A local SMTP inbox with a web page."""
