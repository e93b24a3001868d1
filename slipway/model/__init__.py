"""The typed core that the controller and the host share: images, manifests, releases, their states and their names.

Standard library only, Python 3.11 or newer (Debian 12's): it is installed on hosts beside the engine.
"""

PROTOCOL = 2
"""Version of the commands and documents that playbooks exchange with the engine.

Playbooks of protocol P talk to engines of P - 1 and P: a host may be provisioned after its first deploy with new
playbooks, not before. Raised when a command, a field or its meaning changes.

2: a manifest with an unknown field is refused; `preload` and `force`, which nothing read, are gone from it.
"""
