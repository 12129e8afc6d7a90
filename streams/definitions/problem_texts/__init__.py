"""What each problem id means, with an example of the fix."""
