"""Environments with `engine: kubernetes`: the same verbs, by the plain kubectl.

The order of the commands is that of docs/how-to/deploy-to-kubernetes.md. `-v` prints each of them.
"""
