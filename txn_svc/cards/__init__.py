"""Cards as browsers encrypt them: only inside the key boundary they become readable."""
