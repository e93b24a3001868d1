"""Sites whose units are in golden/, one file each: at first the output of the Jinja templates that slipway.units replaced."""

from typing import Any

SITES: dict[str, dict[str, Any]] = {
    "none": {},
    "host": {
        "egress": "host",
        "private_processes": True,
        "workload": "cpu",
        "workers": 3,
        "preload": False,
        "allow_jit": True,
        "memory_max": "2G",
        "request_timeout": 120,
        "secrets": ["Z_KEY", "b_KEY", "A_key", "a_KEY"],
    },
    "networks": {
        "egress": "networks",
        "egress_networks": ["10.0.0.0/8", "fd00::/8"],
        "writable": ["/app/data"],
        "resolvers": ["192.0.2.53", "2001:db8::53"],
        "processes": [{"name": "send-mail", "count": 2, "memory_max": "1G"}, {"name": "beat", "single": True}],
        "process_stop_timeout": 90,
    },
    "internet": {
        "egress": "internet",
        "secrets": ["DATABASE_URL"],
        "migrate_timeout": 900,
        "jobs": [
            {"name": "nightly", "command": "python -m report", "schedule": "*-*-* 04:00:00", "timeout": 60},
            {"name": "Tick_2", "command": "echo", "schedule": "hourly"},
        ],
    },
    "data-local": {
        "processes": [
            {"name": "worker", "count": 2, "connections": 3},
            {"name": "beat", "single": True, "connections": 0},
            {"name": "Mail_1"},
        ],
        "jobs": [{"name": "tick", "command": "echo", "schedule": "*:*:0/5"}],
        "data": {"local": True, "broker": True, "connections": 45, "process_connections": 4, "tcp": False, "names": {}},
    },
    "data-local-tcp": {
        "backup": True,
        "backup_wal": True,
        "processes": [{"name": "worker"}],
        "data": {
            **{"local": True, "broker": True, "connections": 45, "process_connections": 4, "tcp": True},
            "names": {
                "scheme": "postgresql+psycopg",
                "environment": {"POSTGRES_SERVER": "{host}", "PG_PW": "{password}"},
            },
        },
    },
    "data-remote": {
        "egress": "networks",
        "egress_networks": ["fd00::5"],
        "resolvers": ["192.0.2.53"],
        "secrets": ["TOKEN"],
        "processes": [{"name": "worker"}],
        "jobs": [{"name": "tick", "command": "echo", "schedule": "daily"}],
        "data": {
            "local": False,
            "broker": True,
            "connections": 15,
            "process_connections": 2,
            "tcp": False,
            "names": {},
        },
    },
    "data-remote-no-broker": {
        "egress": "internet",
        "data": {
            "local": False,
            "broker": False,
            "connections": 15,
            "process_connections": 2,
            "tcp": False,
            "names": {},
        },
    },
}
