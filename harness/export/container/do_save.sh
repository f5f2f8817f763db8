#!/usr/bin/env bash
# Write the two files to upload: the weights, and the container without them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
NAME="{{ name }}"

tar --create --gzip --file model.tar.gz --directory model .
docker build --platform=linux/amd64 --tag "$NAME" .
docker save "$NAME" | gzip > "$NAME.tar.gz"
echo "Upload $NAME.tar.gz as the container image and model.tar.gz as the model."
