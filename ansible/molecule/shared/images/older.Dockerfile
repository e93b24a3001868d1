# Of a commit that the second one contains.
ARG IMAGES
FROM ${IMAGES}:molecule-first
LABEL org.opencontainers.image.revision=28c620f175fbedb6df0009a27bdecbb7f6ac1a54
