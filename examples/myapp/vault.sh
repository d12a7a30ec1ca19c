#!/bin/sh
# The secret, and who may read it: service account myapp of namespace myapp, with tokens for the
# audience vault.
# Usage: sh vault.sh vault|bao, logged in with the right to write these.
set -eu
cli=${1:?which command line: vault or bao}

"$cli" kv put secret/myapp/config username=myapp password=correct-horse

"$cli" policy write myapp - <<POLICY
path "secret/data/myapp/config" { capabilities = ["read"] }
POLICY

"$cli" write auth/kubernetes/role/myapp bound_service_account_names=myapp bound_service_account_namespaces=myapp \
    audience=vault policies=myapp ttl=1h
