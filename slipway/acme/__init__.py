"""Certificates by ACME, on the host: certbot obtains them as the user nginx-acme, and root installs them for nginx.

Units: nginx-acme@.service (slipway.acme.obtain) and nginx-acme-install.service (slipway.acme.install).
"""
