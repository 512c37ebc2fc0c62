"""What stores on other machines share: one flight for each uuid at a time, and groups that travel together."""

from backends.boarding.admission import Admission
from backends.boarding.judging import judge
from backends.boarding.queue import Group, Passenger, Queue, Settled, settle_all

__all__ = ["Admission", "Group", "Passenger", "Queue", "Settled", "judge", "settle_all"]
