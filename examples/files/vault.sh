#!/bin/sh
# The secret, and who may read it: service account files of namespace files, with tokens for the
# audience vault.
# Usage: sh vault.sh vault|bao, logged in with the right to write these.
set -eu
cli=${1:?which command line: vault or bao}

"$cli" kv put secret/files/config username=shop password=correct-horse

"$cli" policy write files - <<POLICY
path "secret/data/files/config" { capabilities = ["read"] }
path "secret/data/files/license" { capabilities = ["read"] }
POLICY

"$cli" write auth/kubernetes/role/files bound_service_account_names=files bound_service_account_namespaces=files \
    audience=vault policies=files ttl=1h
