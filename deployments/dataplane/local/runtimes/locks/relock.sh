#!/bin/sh
# Makes the lock file of one runtime anew:  relock.sh 3.3-1 3.3.2 2026-09-20
# The date is a few days after that Airflow was released: with everything newest, celery 5.7 breaks
# `airflow celery worker`. Prove a new lock before committing it: pytest -m airflow deployments/tests
set -eu
version=$1 airflow=$2 date=$3
pythons="3.12 3.13"  # what this Airflow supports, and the console may run on
here=$(dirname "$0")
{
  echo "# Runtime $version: Apache Airflow $airflow and what a DAG author expects, as of $date."
  echo "# Made by: locks/relock.sh $version $airflow $date"
  echo "# For Python: $pythons"
  printf '%s\n' "apache-airflow[celery,postgres,standard,http]==$airflow" |
    uv pip compile --quiet --python-version 3.12 --universal --exclude-newer "$date" \
      --generate-hashes --no-header --no-annotate -
} > "$here/$version.txt.new"
mv "$here/$version.txt.new" "$here/$version.txt"
