"""Merchants, API keys and what a signed request must look like. No I/O."""
