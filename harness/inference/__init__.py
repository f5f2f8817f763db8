"""From images to masks."""
