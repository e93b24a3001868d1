"""Draws a recorded load, with the deploys in it, as a page."""
