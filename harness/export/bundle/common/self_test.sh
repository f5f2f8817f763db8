#!/usr/bin/env bash
# Score drawn masks the way the platform does, without Docker, and compare the figures.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
python="${PYTHON:-python3}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
{% block run %}{% endblock %}
