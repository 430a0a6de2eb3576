"""Answers Envoy's question whether a request may pass; owns merchants and their API keys."""
