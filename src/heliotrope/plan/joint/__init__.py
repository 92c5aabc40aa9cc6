"""Many workloads under one capacity: prices of room by site and hour, a plan, and a certified bound on any plan."""

from heliotrope.plan.joint.solve import JointPlan, solve

__all__ = ["JointPlan", "solve"]
