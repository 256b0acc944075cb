#!/bin/sh
# Installs Debian's Chromium for the browser tests where that needs no password; else they skip.
set -eu
if [ -x "${SKYPACT_CHROMIUM:-/usr/bin/chromium}" ]; then
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "no Chromium and no apt: the browser tests will be skipped"
    exit 0
fi
if [ "$(id -u)" = 0 ]; then
    as_root=""
elif sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    echo "no Chromium and no right to install it: the browser tests will be skipped"
    exit 0
fi
$as_root apt-get update -qq
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends chromium >/dev/null
