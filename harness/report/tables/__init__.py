"""Tables in a terminal and in files."""
