"""What is missing or wrong on this machine, and between it and the hosts of an environment: `slipway doctor`.

Nothing is changed anywhere. machine.py looks at this machine, way.py at the way to a host, host.py at
what the host told, state.py at its drift, backups and certificates, data_host.py at what a data host of its own told,
site.py at its site as clients reach it.
"""
