"""Everything that runs the whole of paymesh on one machine. No service imports it."""
