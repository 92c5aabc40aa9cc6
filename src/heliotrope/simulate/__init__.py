"""Replays traces of jobs and grids through the same planner that runs for real."""
