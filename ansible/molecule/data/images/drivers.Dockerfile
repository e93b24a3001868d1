# The app, and the drivers of PostgreSQL that other apps use. Its migrations connect by each of them first.
ARG IMAGES
FROM ${IMAGES}:molecule-first
COPY packages /drivers
COPY drivers.py /drivers.py
COPY Procfile /app/
