"""The systemd units of a site: from typed variables to the text of each unit and drop-in. Standard library only."""

from slipway.units.layout import Units, render
from slipway.units.site import DataHost, Job, Process, Site

__all__ = ["DataHost", "Job", "Process", "Site", "Units", "render"]
