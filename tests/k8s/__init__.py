"""The manifests, held against their schemas, our rules and the code. No cluster is needed."""
