"""The core's data: events, effects, customers, flows and the ruleset."""
