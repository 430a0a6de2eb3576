"""A whole run with card numbers that are found nowhere afterwards."""
