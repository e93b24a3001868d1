"""Pages: a recorded load with the deploys in it, and the figures of the bench. Each is one HTML file."""
