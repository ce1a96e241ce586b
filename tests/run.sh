#!/bin/sh
# Run every test: `sh tests/run.sh`, or those that pytest is told to choose: `sh tests/run.sh -k wall`.
#
# Browsers wait for what they draw and servers for what they start: side by side they take little more
# than the longer of the two alone. The browsers' report follows the other one, whole; the benches come last.
set -u
cd "$(dirname "$0")/.."
pytest=".venv/bin/python -m pytest"

if [ $# -gt 0 ]; then
    $pytest "$@" && npm test --silent
    exit
fi

report=$(mktemp)
browsers=
trap 'test -z "$browsers" || { kill "$browsers" 2>/dev/null; wait "$browsers"; }; rm -f "$report"' EXIT
trap 'exit 130' INT TERM

echo "The browsers' tests run beside these; their report comes at the end."
# Behind the others: those have processes to start within seconds, these have minutes.
nice -n 10 $pytest tests/browser >"$report" 2>&1 &
browsers=$!
status=0
$pytest --ignore=tests/browser --ignore=tests/bench || status=$?
npm test --silent || status=$?
wait "$browsers" || status=$?
browsers=
cat "$report"
# Alone: benches measure, if only for an instant.
$pytest tests/bench || status=$?
exit "$status"
