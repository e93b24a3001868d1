"""A data host of its own: its status and what is wrong with it. It has neither releases nor a site."""
