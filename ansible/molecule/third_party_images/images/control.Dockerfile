# A gunicorn that has a control socket (25.1 and newer), and nothing of Slipway's server.
ARG IMAGES
FROM ${IMAGES}:ours
CMD ["gunicorn", "--worker-class=uvicorn_worker.UvicornWorker", "--preload", "app.main:app"]
