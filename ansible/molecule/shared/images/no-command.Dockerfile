# Nothing says what is to run.
FROM slipway-app:molecule-first
ENTRYPOINT []
CMD []
