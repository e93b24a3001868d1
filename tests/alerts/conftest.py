"""A message, and where it is from."""

import pytest

from slipway.alerts.alert import Alert, Message, Place

PLACE = Place("www1", "acme/shop", "production")


@pytest.fixture
def place() -> Place:
    return PLACE


@pytest.fixture
def message() -> Message:
    alert = Alert("unit:a.service", "a.service failed", "<b> & \x1b[2J ü", "journalctl -u a.service")
    return Message("0" * 32, False, alert, "2027-01-15T08:00:00+00:00", "2027-01-15T08:01:00+00:00")
