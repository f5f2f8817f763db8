{% extends "common/self_test.sh" %}
{% block run %}

"$python" -m zipfile -c "$work/truth.zip" self_test/truth/*
cp evaluation_script.zip "$work" && cd "$work" && "$python" -m zipfile -e evaluation_script.zip challenge
evaluate='
import json, sys
from challenge import evaluate
output = evaluate(sys.argv[1], sys.argv[2], "round", submission_metadata={})
if "result" not in output:
    sys.exit(1)
json.dump(output["result"][0]["test"], open(sys.argv[3], "w"))
'
"$python" -c "$evaluate" truth.zip "$OLDPWD/self_test/package.zip" result.json
"$python" -I "$OLDPWD/self_test/check.py" result.json "$OLDPWD/self_test/expected.json"

if "$python" -c "$evaluate" truth.zip truth.zip refused.json 2> /dev/null; then
    echo "A zip without a single mask in its place was scored." >&2
    exit 1
fi
echo "A zip without a single mask in its place was refused."
{% endblock %}
