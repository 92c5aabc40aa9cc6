"""Where requests are answered: the least carbon under latency, capacity and jurisdiction, again every few seconds."""

from heliotrope.plan.routing.router import Answer, Requests, Route, Router, Target, route

__all__ = ["Answer", "Requests", "Route", "Router", "Target", "route"]
