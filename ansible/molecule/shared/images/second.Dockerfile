# A change of code and nothing else.
FROM slipway-app:molecule-first
USER 0
RUN printf '\n# The second release.\n' >> app/main.py \
    && python -m compileall -q -f --invalidation-mode unchecked-hash app/main.py
USER 10001
