#!/bin/sh
# The configuration, and who may read it: service account dotenv of namespace dotenv, with tokens for
# the audience vault.
# Usage: sh vault.sh vault|bao, logged in with the right to write these.
set -eu
cli=${1:?which command line: vault or bao}

"$cli" kv put secret/dotenv/config DB_HOST=db-0 DB_USER=shop DB_PASSWORD="it's \$ecret" _comment="by hand"

"$cli" policy write dotenv - <<POLICY
path "secret/data/dotenv/config" { capabilities = ["read"] }
POLICY

"$cli" write auth/kubernetes/role/dotenv bound_service_account_names=dotenv bound_service_account_namespaces=dotenv \
    audience=vault policies=dotenv ttl=1h
