"""Measurements and demonstrations on test hosts: `make bench`, `make demo`, `make try`; and the load of all tests."""
