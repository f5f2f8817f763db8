{% extends "common/self_test.sh" %}
{% block run %}

mkdir -p "$work/input/res" "$work/output" "$work/refused"
cp -R self_test/truth "$work/input/ref"
"$python" -m zipfile -e self_test/package.zip "$work/input/res"
"$python" -I scoring_program/score.py "$work/input" "$work/output"
"$python" -I self_test/check.py "$work/output/scores.json" self_test/expected.json

rm "$(find "$work/input/res" -type f -name '*{{ suffix }}' | sort | head -n 1)"
if "$python" -I scoring_program/score.py "$work/input" "$work/refused" 2> /dev/null; then
    echo "A submission without one of its masks was scored." >&2
    exit 1
fi
echo "A submission without one of its masks was refused."
{% endblock %}
