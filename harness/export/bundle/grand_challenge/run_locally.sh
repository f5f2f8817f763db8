{% extends "common/self_test.sh" %}
{% block run %}

"$python" -I program/score.py self_test/input self_test/truth "$work/output"
"$python" -I self_test/check.py "$work/output/metrics.json" self_test/expected.json

cp -R self_test/input "$work/input"
rm "$(find "$work/input" -type f -name '*.mha' | sort | head -n 1)"
if "$python" -I program/score.py "$work/input" self_test/truth "$work/refused" 2> /dev/null; then
    echo "A submission without one of its masks was scored." >&2
    exit 1
fi
echo "A submission without one of its masks was refused."
{% endblock %}
