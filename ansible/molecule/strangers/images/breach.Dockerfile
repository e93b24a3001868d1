# A good stranger, until a setting BREACH says what it breaks. `tcp` is a server that knows of no socket but its own;
# `script` starts gunicorn as a child, which so takes the socket for somebody else's; `deaf` never ends, and
# `abrupt` ends before its answers do.
FROM slipway-stranger:gunicorn
COPY breach.py ./
ENTRYPOINT []
# hadolint ignore=DL3025
CMD case "${BREACH:-}" in \
        tcp) exec uvicorn breach:app --port 9000 --loop asyncio ;; \
        script) gunicorn --worker-class=uvicorn.workers.UvicornWorker --bind=127.0.0.1:9000 breach:app; exit ;; \
        abrupt) uvicorn breach:app --fd 3 & trap 'kill -9 $!' TERM; wait; exit ;; \
        deaf) trap "" TERM; uvicorn breach:app --fd 3; sleep 600 ;; \
        *) exec gunicorn --worker-class=uvicorn.workers.UvicornWorker --workers=2 --preload breach:app ;; \
    esac
