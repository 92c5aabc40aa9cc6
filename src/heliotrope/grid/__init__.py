"""Signals of the world outside: what the power is like, now and next."""
