"""Measures Psyche from outside: `python -m bench`. Nothing that is shipped imports it."""
