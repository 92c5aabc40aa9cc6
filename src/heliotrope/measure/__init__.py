"""Meters, sampling, attribution: the joules, with their error and their provenance."""
