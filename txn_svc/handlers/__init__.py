"""What can be done with transactions and attempts, one function per use case."""
