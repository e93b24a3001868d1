"""How fast it is, measured on a host of its own. See docs/performance.md."""
