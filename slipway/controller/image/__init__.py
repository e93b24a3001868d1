"""An OCI image on the controller: its configuration, its file system as a plain tree, and the contract for both."""
