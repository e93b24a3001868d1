"""A link shortener: the service that Slipway ships with, made to be read and then replaced."""
