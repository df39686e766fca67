"""A service's files: one place for them in the workspace, compared, distributed, migrated and taken from hosts."""

from opsnb.kits.config.changing import ACTUATOR, VERB
from opsnb.kits.config.distribute import Wanted, astray, plan_distribute, plan_host, wanted
from opsnb.kits.config.places import Service, environments, open_service

__all__ = [
    "ACTUATOR", "VERB", "Service", "Wanted", "astray", "environments", "open_service", "plan_distribute", "plan_host",
    "wanted",
]  # fmt: skip
