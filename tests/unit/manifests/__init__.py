"""The manifests in k8s/, held against the code and against each other."""
