"""A demo shop: takes cards with paymesh.js, the way a merchant would."""
