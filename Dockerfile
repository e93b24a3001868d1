# The app's image: the only artifact. Container engines and systemd run the same files.
#
#   docker build -t app .                                          Debian 13 and its Python
#   docker build --build-arg BASE=ubuntu:26.04 -t app .            another base that has apt and Python 3.11 or newer
#   docker build --secret id=ca,src=/path/to/bundle.crt -t app .   behind a proxy with a certificate of its own
#
# Builds are reproducible, so that deploys ship only what changed: every layer resets its times to SOURCE_DATE_EPOCH, and
# bytecode is compiled in one process, in the form that does not record times.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS base
ARG SOURCE_DATE_EPOCH=1767225600
SHELL ["/bin/sh", "-euc"]
# Versions are not pinned: a build without the cache includes Debian's security updates (docker build --no-cache --pull).
# hadolint ignore=DL3008
RUN --mount=type=secret,id=ca,target=/dev/ca.crt \
    if [ -s /dev/ca.crt ]; then set -- -o Acquire::https::CAInfo=/dev/ca.crt; fi; \
    touch /dev/start; \
    export DEBIAN_FRONTEND=noninteractive; \
    apt-get "$@" update; \
    apt-get "$@" install -y --no-install-recommends \
        -o Dpkg::Options::=--path-exclude='/usr/share/doc/*' -o Dpkg::Options::=--path-include='/usr/share/doc/*/copyright' \
        -o Dpkg::Options::=--path-exclude='/usr/share/man/*' -o Dpkg::Options::=--path-exclude='/usr/share/info/*' \
        ca-certificates python3 tzdata; \
    find /usr/lib/python3* /usr/share/python3 -name __pycache__ -exec rm -rf {} +; \
    PYTHONHASHSEED=0 python3 -m compileall -q -j 1 --invalidation-mode unchecked-hash /usr/lib/python3*; \
    rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /var/lib/dpkg/*-old /tmp/*; \
    find / -xdev -newer /dev/start ! -path /etc/hosts ! -path /etc/resolv.conf -exec touch -hcd "@$SOURCE_DATE_EPOCH" {} +

# The locked dependencies, in a virtual environment. uv is only in this stage, pinned by hash, and verifies the others' hashes.
FROM base AS build
ARG SOURCE_DATE_EPOCH
# hadolint ignore=DL3008
RUN --mount=type=secret,id=ca,target=/dev/ca.crt \
    if [ -s /dev/ca.crt ]; then set -- -o Acquire::https::CAInfo=/dev/ca.crt; export PIP_CERT=/dev/ca.crt; fi; \
    apt-get "$@" update; \
    apt-get "$@" install -y --no-install-recommends python3-venv; \
    python3 -m venv /opt/uv; \
    printf '%s' 'uv==0.13.9' \
        ' --hash=sha256:d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19' \
        ' --hash=sha256:ecb6028d79dc96fbeafffe5c8af62a7099487ebc05a701e76714eebcffd06375' > /opt/uv/requirements.txt; \
    /opt/uv/bin/pip install --no-cache-dir --require-hashes -r /opt/uv/requirements.txt
WORKDIR /app
COPY app/pyproject.toml app/uv.lock ./
RUN --mount=type=secret,id=ca,target=/dev/ca.crt --mount=type=cache,target=/root/.cache/uv \
    if [ -s /dev/ca.crt ]; then export SSL_CERT_FILE=/dev/ca.crt; fi; \
    export UV_PROJECT_ENVIRONMENT=/opt/venv UV_PYTHON=/usr/bin/python3 UV_NO_MANAGED_PYTHON=1 UV_LINK_MODE=copy; \
    /opt/uv/bin/uv sync --locked --no-dev; \
    find /opt/venv -type d -name tests -prune -exec rm -rf {} +; \
    PYTHONHASHSEED=0 /opt/venv/bin/python -m compileall -q -j 1 --invalidation-mode unchecked-hash /opt/venv/lib; \
    mkdir -p /out/opt; mv /opt/venv /out/opt/; \
    find /out -exec touch -hcd "@$SOURCE_DATE_EPOCH" {} +

# The code alone: changing a line rebuilds one small layer.
FROM base AS code
ARG SOURCE_DATE_EPOCH
WORKDIR /out/app
COPY . .
RUN rm app/pyproject.toml app/uv.lock; \
    PYTHONHASHSEED=0 python3 -m compileall -q -j 1 --invalidation-mode unchecked-hash app server; \
    mkdir -m 0700 var; \
    chmod -R a+rX,go-w app server Procfile; \
    chown 10001:10001 var; \
    find /out -exec touch -hcd "@$SOURCE_DATE_EPOCH" {} +

FROM base AS runtime
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
COPY --from=build /out /
COPY --from=code /out /
WORKDIR /app
# A number, for Kubernetes' runAsNonRoot.
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-c", \
    "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('PORT', '8000') + '/readyz', timeout=4)"]
# server/sizing.py computes the number of workers at start.
CMD ["python", "-m", "server", "app.main:app"]
# Labels come last and are not files: the commit in them changes nothing that is shipped.
ARG COMMIT=unknown
ARG VERSION=dev
LABEL org.opencontainers.image.revision="${COMMIT}" org.opencontainers.image.version="${VERSION}"
