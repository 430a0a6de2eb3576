"""gRPC in, for the platform team's tools."""
