"""The rules of transactions, attempts and cards. No I/O."""
