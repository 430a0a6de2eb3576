"""The merchants' edge: Envoy's configuration, and the service that it asks who calls."""
