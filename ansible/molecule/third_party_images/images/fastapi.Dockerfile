# FastAPI's own command, as its documentation starts it, with FastAPI's newest packages (tests/causes/image/requirements.txt).
ARG IMAGES
FROM ${IMAGES}:port
COPY packages /opt/fastapi
ENV PYTHONPATH=/opt/fastapi
RUN printf '#!/usr/bin/python3\nimport sys\nfrom fastapi_cli.cli import main\nif __name__ == "__main__":\n    sys.exit(main())\n' >/usr/local/bin/fastapi \
    && chmod 755 /usr/local/bin/fastapi
CMD ["fastapi", "run", "--workers", "2", "bazaar.py"]
