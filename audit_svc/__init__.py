"""The archive of every row change and event, its proof, and the story of each payment from it."""
