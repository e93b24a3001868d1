"""Backups of a host by restic: made, tried out every week, and brought back.

It runs as root on hosts that may have no engine (a data host of its own), so it imports only slipway.model.
"""
