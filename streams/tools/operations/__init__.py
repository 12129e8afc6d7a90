"""Tools for operators: customer timelines, dead letters and the doctor."""
