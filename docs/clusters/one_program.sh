#!/bin/sh
# sh one_program.sh HOST HOST ...: a process on each host, in this folder, which all of them see; the first coordinates.
# localhost is this machine, and may be named more than once.
set -eu
folder=$(pwd)
python=${PYTHON:-python}
number=0
started=
for host in "$@"; do
    command="cd '$folder' && exec '$python' one_program.py $1:${PORT:-8476} $# $number"
    if [ "$host" = localhost ]; then sh -c "$command" & else ssh "$host" "$command" & fi
    started="$started $!"
    number=$((number + 1))
done
status=0
for process in $started; do
    wait "$process" || status=$?
done
exit $status
