"""The images as pods: what production runs, played by podman without a cluster."""
