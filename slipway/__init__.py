"""The engine: activates releases on a host, rolls them back, recovers and tells the status.

Standard library only, Python 3.11 or newer (Debian 12's). Provisioning installs it read-only under
/usr/local/lib/slipway; it runs as the user `deploy`.
"""

PROTOCOL = 1
"""Version of the commands and documents that playbooks exchange with the engine.

Playbooks of protocol P talk to engines of P - 1 and P: a host may be provisioned after its first deploy with new
playbooks, not before. Raised when a command, a field or its meaning changes.
"""
