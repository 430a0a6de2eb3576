"""What a simulated network presents for clearing, and the files it writes for that."""
