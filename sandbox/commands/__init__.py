"""The commands of `paymesh`, a module for each group of them, imported when one is asked for."""
