#!/bin/sh
# Stands in for inside.py where the image has no Python: no socket is handed over, and the app is probed on its port.
cd "${0%/*}" || exit
if [ -e /.slipway/release ]; then
    (umask 077 && cd / && exec /.slipway/release)
    status=$?
    echo "release $status" >>steps
    [ "$status" = 0 ] || exit "$status"
fi
(umask 077 && cd / && exec /.slipway/web) &
app=$!
trap 'kill -TERM "$app"' TERM
echo "web $app" >>steps
wait "$app"
status=$?
# A signal also ends `wait`.
while kill -0 "$app" 2>/dev/null; do
    wait "$app"
    status=$?
done
echo "ended $status" >>steps
exit "$status"
