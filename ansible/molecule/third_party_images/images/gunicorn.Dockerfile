# Debian 13's own gunicorn and FastAPI: nothing of it is Slipway's.
FROM debian:trixie-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates gunicorn python3-fastapi tzdata uvicorn \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/shop
# HOME and TMPDIR would be a container's.
ENV SHOP_NAME="It's \"a shop\", \$5" \
    SHOP_HOST=shop.example \
    SHOP_MOTTO="from the image" \
    HOME=/nowhere \
    PYTHONUNBUFFERED=1
COPY shop.py Procfile ./
# As an image has it whose app writes beside its code.
RUN mkdir data && echo hello > data/welcome.txt && chmod 0700 data && chmod 0600 data/welcome.txt
USER nobody
EXPOSE 80
ENTRYPOINT ["gunicorn", "--worker-class=uvicorn.workers.UvicornWorker"]
CMD ["--bind=0.0.0.0:80", "--workers=2", "shop:app"]
