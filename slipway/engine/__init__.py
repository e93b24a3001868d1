"""The engine: activates releases on a host, rolls them back, recovers and tells the status.

Standard library only, Python 3.11 or newer (Debian 12's). Provisioning installs it read-only under
/usr/local/lib/slipway; it runs as the user `deploy`.
"""
