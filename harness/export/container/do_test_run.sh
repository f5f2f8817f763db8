#!/usr/bin/env bash
# Build the container and run it on test/input as the platform does: no network, inputs read-only.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
NAME="{{ name }}"

docker build --platform=linux/amd64 --tag "$NAME" .
rm -rf test/output
mkdir -p test/output
chmod o+rwx test/output  # the container's user is another than yours
docker run --rm --platform=linux/amd64 --network none \
    --volume "$PWD/test/input:/input:ro" \
    --volume "$PWD/test/output:/output" \
    --volume "$PWD/model:/opt/ml/model:ro" \
    "$NAME"
echo "Masks are in $PWD/test/output/images/{{ output_slug }}"
