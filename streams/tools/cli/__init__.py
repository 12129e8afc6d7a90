"""The `takk` command."""
