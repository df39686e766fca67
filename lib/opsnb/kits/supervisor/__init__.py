"""Supervisor: what it runs on many hosts, its programs started, stopped and restarted in batches, programs added.

Everything is asked of ``supervisorctl`` under ``LC_ALL=C``, which is wherever Supervisor is; the configuration file is
that of the supervisord that runs.
"""

from opsnb.kits.supervisor.adding import astray as programs_astray
from opsnb.kits.supervisor.adding import plan_program
from opsnb.kits.supervisor.charts import uptime_chart
from opsnb.kits.supervisor.health import statuses
from opsnb.kits.supervisor.program import Program, processes, render
from opsnb.kits.supervisor.reading import Reading, read
from opsnb.kits.supervisor.rolling import astray, plan_processes, running
from opsnb.kits.supervisor.survey import (
    Survey,
    complaints,
    evidence,
    hosts_table,
    last_words,
    logless,
    odd_programs,
    pending,
    processes_table,
    summary,
    survey,
)

__all__ = [
    "Program", "Reading", "Survey", "astray", "complaints", "evidence", "hosts_table", "last_words", "logless",
    "odd_programs", "pending", "plan_processes", "plan_program", "processes", "processes_table", "programs_astray",
    "read", "render", "running", "statuses", "summary", "survey", "uptime_chart",
]  # fmt: skip
