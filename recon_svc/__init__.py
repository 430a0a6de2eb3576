"""Unknown outcomes and the card networks' own books. Knows no messages of a card network."""
