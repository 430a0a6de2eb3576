"""The rules of payment intents and of what merchants may ask for. No I/O."""
