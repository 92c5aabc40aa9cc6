"""Who brought what to the fleet, and what each may use: organisations, their projects, quotas and lending."""

from __future__ import annotations

from typing import Annotated

import msgspec

from heliotrope.model.workload import NonNegative, Positive
from heliotrope.units import S_PER_DAY

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Quota(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits, none where not given: jobs that are not over, those that wait too; devices at once; energy and carbon
    of any 24 hours.
    """

    jobs: Annotated[int, msgspec.Meta(ge=0)] | None = None
    devices: Annotated[int, msgspec.Meta(ge=0)] | None = None
    energy_j_per_day: NonNegative | None = None
    carbon_g_per_day: NonNegative | None = None


class Project(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    quota: Quota = Quota()


class Organisation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`owns`: the share of each site that it brought. `lends`: how much of that others may use while it is idle.

    `weight` is of its turn among borrowers. `reserved`: could not afford it otherwise (research, education).
    """

    name: str
    weight: Positive = 1.0
    owns: dict[str, Share] = msgspec.field(default_factory=dict)
    lends: Share = 1.0
    lends_only_to: tuple[str, ...] = ()
    reserved: bool = False
    quota: Quota = Quota()
    projects: tuple[Project, ...] = ()

    def lends_to(self, name: str) -> bool:
        return not self.lends_only_to or name in self.lends_only_to


class Sharing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No organisations: everything is everybody's. `reserve`: share of a site that reserved ones get first, of what
    is lent. `half_life_s`: after so long, what was used counts half. `grace_s`: to save and leave, when asked.
    """

    organisations: tuple[Organisation, ...] = ()
    reserve: Share = 0.0
    half_life_s: Positive = 7.0 * S_PER_DAY
    grace_s: NonNegative = 60.0

    def organisation(self, name: str) -> Organisation:
        """One that nobody wrote down owns nothing, has the weight 1 and borrows like any other."""
        return next((o for o in self.organisations if o.name == name), Organisation(name))
