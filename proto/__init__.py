"""The contracts, and the program that generates everything which is derived from them."""
