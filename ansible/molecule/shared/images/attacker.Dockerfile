# The first release, taken over: see attacker.py.
ARG IMAGES
FROM ${IMAGES}:molecule-first
USER 0
COPY attacker.py app/attacker.py
RUN printf '\nfrom app import attacker  # noqa: E402\n\napp.mount("/attacker", attacker.app)\n' >> app/main.py \
    && python -m compileall -q -f --invalidation-mode unchecked-hash app/main.py app/attacker.py \
    && chmod a+r app/attacker.py
USER 10001
