"""What the service takes of this feature."""

from perennial.profile.quality.findings.api import router as findings
from perennial.profile.quality.findings.operations import OPERATIONS
from perennial.profile.quality.measuring.jobs import JOBS
from perennial.profile.quality.reports.api import router as reports
from perennial.profile.quality.rules.api import router as rules

ROUTERS = (rules, findings, reports)

__all__ = ["JOBS", "OPERATIONS", "ROUTERS"]
