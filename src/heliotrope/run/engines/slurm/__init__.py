"""Slurm: clusters of other people, through their own commands or their REST daemon."""

from heliotrope.run.engines.slurm.engine import SlurmEngine

__all__ = ["SlurmEngine"]
