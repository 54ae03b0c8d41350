#!/usr/bin/env bash
# Browser tests drive a Chromium. Debian's headless one costs half of the CPU: where it is missing and this user may,
# install it; where it cannot be had, a whole Chromium serves as well.
set -euo pipefail
command -v chromium-headless-shell >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	echo "Installing chromium-headless-shell for the browser tests."
	export DEBIAN_FRONTEND=noninteractive
	install() { timeout 300 apt-get install -y -qq --no-install-recommends "$1" >/dev/null; }
	timeout 120 apt-get update -qq || true
	install chromium-headless-shell || command -v chromium chromium-browser google-chrome >/dev/null || install chromium
fi
