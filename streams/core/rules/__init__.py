"""What a shop defines: flows, limits, and the policies of consent and sending."""
