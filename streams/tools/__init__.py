"""The command line and its tools: local runs, operations and simulations."""
