"""The last day or week of a host, as numbers: `slipway report` on a host. slipway/controller/page draws them."""
