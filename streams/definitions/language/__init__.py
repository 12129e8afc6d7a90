"""Readers of the YAML files: flows, steps, conditions, rules, consent and segments."""
