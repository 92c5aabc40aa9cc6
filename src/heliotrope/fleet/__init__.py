"""Sites, devices and their shares: where work can run."""

from heliotrope.fleet.fleet import Fleet, this_machine
from heliotrope.fleet.load import example, load

__all__ = ["Fleet", "example", "load", "this_machine"]
