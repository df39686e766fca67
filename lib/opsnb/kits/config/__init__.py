"""A service's files: one place for them in the workspace, compared, distributed, migrated and taken from hosts.

``configs/<service>/`` is the one place (:mod:`.places`), ``config.yaml`` in it the manifest (:mod:`.manifest`).
Runbooks call :mod:`.runs` and :mod:`.tables`; the verbs are ``config.files`` (:mod:`.changing`) on hosts and
``config.source`` (:mod:`.sources`) in the workspace.
"""

from opsnb.kits.config import tables
from opsnb.kits.config.changing import ACTUATOR, VERB
from opsnb.kits.config.compare import compare
from opsnb.kits.config.distribute import Wanted, astray, plan_distribute, plan_host, wanted
from opsnb.kits.config.migrate import first
from opsnb.kits.config.places import Service, environments, open_service
from opsnb.kits.config.runs import (
    look_for,
    maybe_for,
    migration_for,
    open_for,
    opened_for,
    other_for,
    plan_for,
    plan_migration,
    plan_taken,
    suits,
    suits_comparison,
    suits_migration,
    suits_taking,
    survey_for,
    survey_of,
    taken_again,
)  # fmt: skip
from opsnb.kits.config.sources import use
from opsnb.kits.config.surveying import environments_beside, survey, variables_beside

__all__ = [
    "ACTUATOR",
    "VERB",
    "Service",
    "Wanted",
    "astray",
    "compare",
    "environments",
    "environments_beside",
    "first",
    "look_for",
    "maybe_for",
    "migration_for",
    "open_for",
    "open_service",
    "opened_for",
    "other_for",
    "plan_distribute",
    "plan_for",
    "plan_host",
    "plan_migration",
    "plan_taken",
    "suits",
    "suits_comparison",
    "suits_migration",
    "suits_taking",
    "survey",
    "survey_for",
    "survey_of",
    "tables",
    "taken_again",
    "use",
    "variables_beside",
    "wanted",
]  # fmt: skip
