"""Readers of the card networks' clearing files; they know formats, and nothing of our payments."""
