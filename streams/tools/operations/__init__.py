"""Tools for operators: decisions of a customer, dead letters and the doctor."""
