"""Alerts: what is wrong with a host is told by webhook or mail, once when it begins and once when it is over."""
