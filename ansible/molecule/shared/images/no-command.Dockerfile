# Nothing says what is to run.
ARG IMAGES
FROM ${IMAGES}:molecule-first
ENTRYPOINT []
CMD []
