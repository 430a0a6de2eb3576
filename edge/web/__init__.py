"""What browsers load: paymesh.js and the card frame. `src/` is built into `dist/`."""
