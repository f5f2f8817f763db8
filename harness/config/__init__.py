"""Settings of a workspace and recipes of a training."""
