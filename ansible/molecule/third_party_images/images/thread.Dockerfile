# Slipway's own server with an app that starts a thread while it is imported.
ARG IMAGES
FROM ${IMAGES}:ours
USER 0
RUN printf '\nimport threading, time\nthreading.Thread(target=time.sleep, args=(3600,), name="prices", daemon=True).start()\n' >> app/main.py \
    && python -m compileall -q -f --invalidation-mode unchecked-hash app/main.py
USER 10001
