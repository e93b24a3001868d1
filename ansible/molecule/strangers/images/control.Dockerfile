# A gunicorn that has a control socket (25.1 and newer), and nothing of Slipway's server.
FROM slipway-stranger:ours
CMD ["gunicorn", "--worker-class=uvicorn_worker.UvicornWorker", "--preload", "app.main:app"]
