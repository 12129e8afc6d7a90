"""Products, recommendations, rewards and code pools."""
