#!/bin/sh
# Makes the secrets of deploy/compose.yaml, once: files in deploy/secrets/, which it never replaces. Of a later version it
# adds the empty files for secrets that are yours to fill in.
# `sh deploy/make_secrets.sh [IMAGE]`
set -eu
folder=$(dirname "$0")/secrets
umask 077
yours="email_password oidc_client_secret identity_key"
fill_in() {
  for name in $yours; do
    [ -e "$1/$name" ] || { : > "$1/$name" && chmod 0644 "$1/$name"; }
  done
}
if [ -e "$folder" ]; then
  fill_in "$folder"
  echo "$folder is there already. Keep it: what the console stored can be read with these keys alone." >&2
  exit 1
fi
keys=$(${AIRDECK_MANAGE:-docker run --rm "${1:-airdeck}" manage} make_keys)
postgres=$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')
valkey=$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')
rm -rf "$folder.new"  # of a run that was cut short
mkdir "$folder.new"
echo "$keys" | sed -n 's/^SECRET_KEY=//p' > "$folder.new/secret_key"
echo "$keys" | sed -n 's/^ENCRYPTION_KEYS=//p' > "$folder.new/encryption_keys"
echo "$postgres" > "$folder.new/postgres_password"
echo "postgresql://airdeck:$postgres@postgres/airdeck" > "$folder.new/database_url"
echo "redis://:$valkey@valkey:6379/0" > "$folder.new/redis_url"
printf 'requirepass %s\nsave ""\nappendonly no\n' "$valkey" > "$folder.new/valkey_conf"
fill_in "$folder.new"
# The console's processes (10001), Postgres and Valkey are not root in their containers, and compose hands a file over as
# it is. The folder keeps everybody else on the host out, and their owner may change them.
chmod 0644 "$folder.new"/*
chmod 0700 "$folder.new"
mv "$folder.new" "$folder"
echo "Made $folder. Write your mail server's password, if it wants one, into $folder/email_password."
