# Two workers of uvicorn on a port, as FastAPI's own documentation starts them: no handed socket is taken.
FROM debian:trixie-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates gunicorn python3-fastapi tini tzdata uvicorn \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /srv/bazaar
ENV PYTHONUNBUFFERED=1
COPY bazaar.py .
EXPOSE 8000
CMD ["uvicorn", "bazaar:app", "--host", "0.0.0.0", "--workers", "2"]
