# Keeps the contract, unless the setting BREACH names a line to break. `tcp` is a server that knows of no socket but its own;
# `script` starts gunicorn as a child, which so takes the socket for somebody else's; `deaf` never ends, and
# `abrupt` ends before its answers do.
ARG IMAGES
FROM ${IMAGES}:gunicorn
COPY breach.py ./
ENTRYPOINT []
# Not in the command, where a deploy would find it.
ENV ELSEWHERE=9000
# hadolint ignore=DL3025
CMD case "${BREACH:-}" in \
        tcp) exec uvicorn breach:app --port $ELSEWHERE --loop asyncio ;; \
        script) gunicorn --worker-class=uvicorn.workers.UvicornWorker --bind=127.0.0.1:$ELSEWHERE breach:app; exit ;; \
        abrupt) uvicorn breach:app --fd 3 & trap 'kill -9 $!' TERM; wait; exit ;; \
        deaf) trap "" TERM; uvicorn breach:app --fd 3; sleep 600 ;; \
        *) exec gunicorn --worker-class=uvicorn.workers.UvicornWorker --workers=2 --preload breach:app ;; \
    esac
