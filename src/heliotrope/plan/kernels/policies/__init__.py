"""Policies by name: what peers do, what we do, and what others bring."""
