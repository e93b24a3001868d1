# For another architecture than the test host's.
FROM scratch
COPY --chmod=755 foreign.Dockerfile /bin/sh
CMD ["/bin/sh"]
