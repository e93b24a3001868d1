# The app with one migration more, which only adds.
ARG IMAGES
FROM ${IMAGES}:molecule-first
COPY 9001_expand.py /app/app/migrations/versions/
