"""The optimiser: when, where, how wide and how hot, with reasons and a bound. Pure."""

from heliotrope.plan.front import plan
from heliotrope.plan.single.candidate import Candidate, Progress
from heliotrope.plan.single.place import place
from heliotrope.rooms import make_callable

__all__ = ["Candidate", "Progress", "place"]

__room_call__ = plan
make_callable(__name__)
