#!/bin/sh
# sh one_program.sh HOST HOST ...: start a process on each host, in the current folder, which all hosts must share.
# The first host is the coordinator. localhost is this machine and may be given more than once.
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
