"""What two customer states become when they are merged into one."""
