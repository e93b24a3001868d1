"""Slipway: deploys images of FastAPI apps to virtual machines.

`model` and `engine` run on a host with its Python alone; `controller` and `contract` run on a laptop or in CI.
"""

__version__ = "0.9.0"
