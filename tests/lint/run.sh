#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# tests/lint/run.sh [-l] [NAME...]: the checks of the sources; -l lists them.

exec python3 "$(dirname "$0")" "$@"
