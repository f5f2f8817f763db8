#!/usr/bin/env bash
# Write the two files to upload: the truth, and the container without it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
NAME="{{ name }}"

tar --create --gzip --file ground_truth.tar.gz --directory ground_truth .
docker build --platform=linux/amd64 --tag "$NAME" .
docker save "$NAME" | gzip > "$NAME.tar.gz"
echo "Upload $NAME.tar.gz as the evaluation method and ground_truth.tar.gz as the ground truth."
