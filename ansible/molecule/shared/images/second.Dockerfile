# A change of code and nothing else. The commit is one of those that prepare.yml makes.
ARG IMAGES
FROM ${IMAGES}:molecule-first
USER 0
RUN printf '\n# The second release.\n' >> app/main.py \
    && python -m compileall -q -f --invalidation-mode unchecked-hash app/main.py
USER 10001
LABEL org.opencontainers.image.revision=f363eab868561e7a005b59a040684a0f5a4a2428
