"""The load generator: up to thousands of screens in one process that does as little as can be for each."""
