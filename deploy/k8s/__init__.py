"""The platform on Kubernetes: manifests, and what makes and feeds them."""
