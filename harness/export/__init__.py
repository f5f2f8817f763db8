"""Models carried out of the project: as ONNX, and as a container for grand-challenge.org."""
