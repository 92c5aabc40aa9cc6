"""The inner loops, compiled where numba is installed: exact, over plain columns, one job at a time."""
