"""The HTTP side: requests of browsers, mail programs and shops become records."""
