"""An image of your own, deployed by Slipway and by `docker run` under the same load: `make try`."""
