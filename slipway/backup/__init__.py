"""Backups of a host by restic: made, tried out every week, and brought back.

It runs as root, also on a data host of its own, which has the same package and neither releases nor a site.
"""
