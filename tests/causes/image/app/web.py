"""An app that is ready at once. With CAUSE it first does what a function of programs.py of that name does."""

import os

import programs
from fastapi import FastAPI

app = FastAPI()

if cause := os.environ.get("CAUSE"):
    getattr(programs, cause)()


@app.get("/readyz")
def ready() -> dict[str, str]:
    """Tell that it serves."""
    return {"status": "ready"}
