#!/bin/sh
# Installs Debian's Chromium for the browser tests, and as root iproute2 for those that cut centres' links
# in network namespaces, where that needs no password; else they skip, or cut a proxy's bytes instead.
set -eu
missing=""
[ -x "${SKYPACT_CHROMIUM:-/usr/bin/chromium}" ] || missing="chromium"
# Only root can make namespaces.
[ "$(id -u)" != 0 ] || command -v ip >/dev/null || missing="$missing iproute2"
if [ -z "$missing" ]; then
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "no apt to install $missing with: the tests that need it do without"
    exit 0
fi
if [ "$(id -u)" = 0 ]; then
    as_root=""
elif sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    echo "no right to install $missing: the tests that need it do without"
    exit 0
fi
$as_root apt-get update -qq
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
