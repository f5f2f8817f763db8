#!/usr/bin/env bash
# Build the container and run it on self_test as the platform does: no network, inputs read-only.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
NAME="{{ name }}"

docker build --platform=linux/amd64 --tag "$NAME" .
rm -rf test_output
mkdir -p test_output
chmod o+rwx test_output  # the container's user is another than yours
docker run --rm --platform=linux/amd64 --network none \
    --volume "$PWD/self_test/input:/input:ro" \
    --volume "$PWD/self_test/truth:/opt/ml/input/data/ground_truth:ro" \
    --volume "$PWD/test_output:/output" \
    "$NAME"
"${PYTHON:-python3}" -I self_test/check.py test_output/metrics.json self_test/expected.json
