"""Export of models: as ONNX, and as a container for grand-challenge.org."""
