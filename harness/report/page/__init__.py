"""The HTML page of a split or a round."""
