"""The merge of two customer states into one."""
