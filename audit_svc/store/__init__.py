"""Where the archive lies, and how records lie in its files."""
