"""Random changes of training frames: augmentations by name, and what they are made of."""
