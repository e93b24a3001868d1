"""Performance measured on hosts of its own: `make bench`. See docs/measurements/."""
