#!/bin/bash
# Writes the settings of NAME.

if [ "${DIB_DEBUG_TRACE:-0}" -gt 0 ]; then
    set -x
fi
set -eu
set -o pipefail

install -d -m 0755 /etc/NAME
echo "greeting = hello" > /etc/NAME/NAME.conf
