"""A good deploy, a bad one and a rollback under load: `make demo`."""
