"""Checking an image against docs/contract.md; see ../contract."""
