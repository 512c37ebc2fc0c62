"""One SMRT Link system as it lives: it starts, is upgraded, runs jobs by day and night, and falls silent at times."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from heapq import heappop, heappush
from random import Random
from typing import Any, Final, NamedTuple
from uuid import UUID

VERSIONS: Final = ("4.0.0.190159", "5.0.0.6792", "5.0.1.9585", "5.1.0.26412")
_FIRST_WITH_NAME: Final = 1
"""Systems of the first version do not send ``dnsName``, and know only the first version of each event type."""
_OPERATING_SYSTEMS: Final = ("CentOS release 6.6 (Final)", "CentOS Linux 7 (Core)", "Ubuntu 16.04.3 LTS")
_LABORATORIES: Final = (
    "alder",
    "birch",
    "cedar",
    "elm",
    "fir",
    "hazel",
    "larch",
    "maple",
    "oak",
    "pine",
    "rowan",
    "yew",
)
_JOB_TYPES: Final = {"pbsmrtpipe": 10, "import-dataset": 6, "merge-datasets": 2, "export-datasets": 1, "db-backup": 3}
_PIPELINES: Final = ("sa3_sat", "sa3_ds_ccs", "sa3_ds_resequencing", "polished_falcon_fat")
_ENDS: Final = {"SUCCESSFUL": 88, "FAILED": 8, "TERMINATED": 3, "": 1}
"""How jobs end; a few are never heard of again."""
_WEEKEND: Final = 5


class Happening(NamedTuple):
    """Something that a system sends an event about."""

    at: datetime
    event_type_id: str
    facts: dict[str, Any]
    is_old: bool
    """Whether the system knows only the first version of the event type."""


class System:
    """One system; the same seed and number make the same one.

    Attributes:
        smrtlink_id: its identity.
        dns_name: its host's name.
        zone: its local time.

    """

    def __init__(self, seed: str, number: int) -> None:
        random = Random(f"{seed}/{number}")  # noqa: S311 - nothing secret
        self.smrtlink_id = str(UUID(int=random.getrandbits(128), version=4))
        self.dns_name = f"smrtlink-{number + 1}.{random.choice(_LABORATORIES)}.example.org"
        self.zone = timezone(timedelta(hours=random.choice((-8, -5, 0, 1, 8, 9))))
        self._random = random
        self._version = random.choices(range(len(VERSIONS)), (1, 3, 4, 4))[0]
        self._os = random.choice(_OPERATING_SYSTEMS)
        self._allows_job_metrics = random.random() < 0.6  # noqa: PLR2004 - a share, as below
        self._jobs_a_day = random.lognormvariate(1.2, 0.8)
        self._fails_more = random.choices((1, 4), (9, 1))[0]
        self._job = random.randrange(2000)

    @property
    def names_itself(self) -> bool:
        """Whether its version sends ``dnsName``."""
        return self._version >= _FIRST_WITH_NAME

    def live(self, first: datetime, days: int, others: tuple[str, ...] = ()) -> Iterator[Happening]:
        """Run through what happens from one midnight on, in order of time.

        Args:
            first: the first day's beginning.
            days: how many.
            others: event types of which nothing is known; each happens now and then.

        """
        silence = self._silence(first, days)
        upgrade = self._random.randrange(days * 3)
        ahead: list[tuple[datetime, int, Happening]] = []
        number = 0
        for day in range(days):
            midnight = first + timedelta(days=day)
            for happening in self._day(midnight, others, is_upgrade=day == upgrade, is_first=day == 0):
                number += 1
                heappush(ahead, (happening.at, number, happening))
            while ahead and ahead[0][0] < midnight + timedelta(days=1):
                happening = heappop(ahead)[2]
                if not silence[0] <= happening.at < silence[1]:
                    yield happening

    def _silence(self, first: datetime, days: int) -> tuple[datetime, datetime]:
        """Choose when nothing is heard of the system; for most, never."""
        if self._random.random() > 0.2:  # noqa: PLR2004
            return first, first
        begins = first + timedelta(days=self._random.uniform(0, days))
        return begins, begins + timedelta(days=self._random.choice((2, 4, 9, days)))

    def _day(
        self, midnight: datetime, others: tuple[str, ...], *, is_upgrade: bool, is_first: bool
    ) -> Iterator[Happening]:
        random = self._random
        if is_upgrade and self._version + 1 < len(VERSIONS):
            self._version += 1
        if is_upgrade or is_first:
            yield from self._installation(midnight + timedelta(hours=random.uniform(0, 9)))
        elif random.random() < 0.07:  # noqa: PLR2004
            yield self._happening(midnight + timedelta(hours=random.uniform(0, 24)), "sl_smrt_server_startup")
        share = 0.3 if midnight.weekday() >= _WEEKEND else 1.0
        for _ in range(round(random.expovariate(1 / (self._jobs_a_day * share)))):
            hour = min(max(random.gauss(13, 4), 0), 23.99) - self.zone.utcoffset(None).total_seconds() / 3600
            yield from self._run_job(midnight + timedelta(hours=hour % 24))
        for event_type_id in others:
            if random.random() < 0.1:  # noqa: PLR2004
                yield self._happening(midnight + timedelta(hours=random.uniform(0, 24)), event_type_id)

    def _installation(self, at: datetime) -> Iterator[Happening]:
        choices = {
            "user": self._random.choice(("admin", "smrtanalysis", "labmanager")),
            "acceptedAt": self.local(at),
            "smrtlinkVersion": VERSIONS[self._version],
            "osVersion": self._os,
            "enableInstallMetrics": True,
            "enableJobMetrics": self._allows_job_metrics,
        }
        yield self._happening(at, "sl_inst_upgrade_notification", choices)
        yield self._happening(at + timedelta(seconds=40), "eula_signed", choices)
        started = {"smrtlinkVersion": VERSIONS[self._version], "port": 9091}
        yield self._happening(at + timedelta(seconds=95), "sl_smrt_server_startup", started)
        bundle = {"bundleType": "chemistry-pb", "version": VERSIONS[self._version].rpartition(".")[0]}
        yield self._happening(at + timedelta(seconds=140), "sl_chemistry_activate_bundle", bundle)

    def _run_job(self, at: datetime) -> Iterator[Happening]:
        random = self._random
        self._job += 1
        kind = random.choices(list(_JOB_TYPES), list(_JOB_TYPES.values()))[0]
        weights = [share * (self._fails_more if end == "FAILED" else 1) for end, share in _ENDS.items()]
        end = random.choices(list(_ENDS), weights)[0]
        hours = random.lognormvariate(1.3 if kind == "pbsmrtpipe" else -2.5, 0.7)
        queued = at + timedelta(seconds=random.uniform(0.5, 4))
        running = queued + timedelta(seconds=random.expovariate(1 / 60))
        ended = running + timedelta(hours=min(hours, 72))
        job = {"jobId": self._job, "jobTypeId": kind}
        for moment, state in ((at, "CREATED"), (queued, "SUBMITTED"), (running, "RUNNING"), (ended, end)):
            if state:
                yield self._happening(moment, "smrtlink_job_change_state", {**job, "state": self._spelt(state)})
        if end and self._allows_job_metrics:
            yield self._happening(ended + timedelta(seconds=1), "sl_job_metrics", self._metrics(job, at, ended, end))

    def _metrics(self, job: dict[str, Any], created: datetime, ended: datetime, state: str) -> dict[str, Any]:
        movie = f"m54{self._random.randrange(999):03}_{created:%y%m%d_%H%M%S}"
        return {
            "id": job["jobId"],
            "uuid": str(UUID(int=self._random.getrandbits(128), version=4)),
            "createdAt": self.local(created),
            "updatedAt": self.local(ended),
            "state": state,
            "jobTypeId": job["jobTypeId"],
            "pipelineId": f"pbsmrtpipe.pipelines.{self._random.choice(_PIPELINES)}",
            "smrtlinkVersion": VERSIONS[self._version],
            "movieIds": [movie],
            "isActive": True,
            "isMultiJob": self._random.random() < 0.05,  # noqa: PLR2004
        }

    def _spelt(self, state: str) -> str:
        """Return a state as the system's version spells it."""
        return "SUCCCESSFUL" if state == "SUCCESSFUL" and not self.names_itself else state

    def _happening(self, at: datetime, event_type_id: str, facts: dict[str, Any] | None = None) -> Happening:
        return Happening(at, event_type_id, facts or {}, is_old=not self.names_itself)

    def local(self, at: datetime) -> str:
        """Return a moment as the system writes it, in its local time."""
        return at.astimezone(self.zone).isoformat(timespec="milliseconds")


def midnight_of(at: datetime) -> datetime:
    """Return the beginning of a moment's day, in UTC."""
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
