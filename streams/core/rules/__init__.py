"""The definitions of a shop: flows, limits, and the policies of consent and sending."""
