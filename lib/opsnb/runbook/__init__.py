"""What a notebook says: begin, applicable, propose, change, check, evidence, show, finish."""

from opsnb.runbook.actuators import Actuator, register
from opsnb.runbook.run import Run, begin
from opsnb.runbook.secrets import Secret, secret
from opsnb.runbook.show import show

__all__ = ["Actuator", "Run", "Secret", "begin", "register", "secret", "show"]
