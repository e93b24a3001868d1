"""Logs as one JSON object per line on stdout: gunicorn's, uvicorn's and the app's alike."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class JsonFormatter(logging.Formatter):
    """Writes a record with whatever its maker added by `extra=` or by a record factory (the request id)."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the record as one line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps(line, default=str)


def _own() -> dict[str, Any]:
    # uvicorn-worker takes the handlers of these two for uvicorn's own, so they have them themselves.
    return {"level": "INFO", "handlers": ["stdout"], "propagate": False}


CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": JsonFormatter}},
    "handlers": {"stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "json"}},
    "root": {"level": "INFO", "handlers": ["stdout"]},
    "loggers": {"gunicorn.error": _own(), "gunicorn.access": _own()},
}
