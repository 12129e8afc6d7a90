"""The pages that customers open from emails."""
