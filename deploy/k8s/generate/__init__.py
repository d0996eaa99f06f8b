"""What of the manifests follows from the code: settings, streams, scaling, network edges, names of secrets."""
