"""The load of every test and lab: Locust at a constant rate, each response checked, each request logged."""
