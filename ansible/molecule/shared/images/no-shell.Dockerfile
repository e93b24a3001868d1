FROM scratch
COPY no-shell.Dockerfile /app
CMD ["/app"]
