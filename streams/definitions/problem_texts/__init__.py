"""The meaning of each problem id, with an example of the fix."""
