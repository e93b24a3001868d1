"""Deploys under load, and the page that shows what came of them: `make demo`, `make try`."""
