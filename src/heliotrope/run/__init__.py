"""The life of a run: pure state machine, controller, engines."""

from heliotrope.run.clock import Clock
from heliotrope.run.controller import Controller

__all__ = ["Clock", "Controller"]
