"""What the tables show."""
