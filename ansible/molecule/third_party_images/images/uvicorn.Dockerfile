# Another distribution with another Python, and the shell form of CMD.
FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-fastapi uvicorn \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /srv/vault/src
COPY vault.py .
# hadolint ignore=DL3025
CMD uvicorn vault:app --fd 3
