"""Metrics: what the engine knows of a host, for node_exporter's textfile collector."""
