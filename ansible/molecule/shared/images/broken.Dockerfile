# A release that cannot be imported.
ARG IMAGES
FROM ${IMAGES}:molecule-first
USER 0
RUN printf '\nimport a_module_that_is_not_there\n' >> app/main.py \
    && python -m compileall -q -f --invalidation-mode unchecked-hash app/main.py
USER 10001
