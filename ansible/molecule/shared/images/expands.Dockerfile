# The app with one migration more, which only adds.
FROM slipway-app:molecule-first
COPY 9001_expand.py /app/app/migrations/versions/
