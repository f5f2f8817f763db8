#!/usr/bin/env bash
# Score drawn masks the way the platform does, without Docker, and compare the figures.
set -euo pipefail
python="${PYTHON:-python3}"
case "$python" in
    /*) ;;
    */*) python="$PWD/$python" ;;  # a path from where this was called
esac
cd "$(dirname "${BASH_SOURCE[0]}")"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
{% block run %}{% endblock %}
