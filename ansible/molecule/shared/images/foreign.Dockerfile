# For another architecture than the test host's.
FROM scratch
COPY foreign.Dockerfile /bin/sh
CMD ["serve"]
