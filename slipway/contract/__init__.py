"""Check an image against docs/reference/contract.md; see tools/contract."""
