"""Reading packages of others, which may be hostile."""
