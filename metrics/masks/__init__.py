"""Reading masks, and the classes in them."""
