"""The data of the core: events, effects, customers and instances, and the unit of work."""
