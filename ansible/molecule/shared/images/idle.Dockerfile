# A release that serves, and whose worker crashes.
ARG IMAGES
FROM ${IMAGES}:molecule-first
USER 0
RUN sed -i 's/^worker:.*/worker: exec python -m a_worker_that_is_not_there/' Procfile
USER 10001
