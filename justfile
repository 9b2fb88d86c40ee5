# Each recipe is a line that can be copied where `just` is not installed.

# What CI runs
check:
    .ci/run

# What CI runs, and what takes long: every mutant, more of the fuzz, every PostgreSQL, a minute of 200 tenants through PgBouncer
check-full: && postgres-matrix pooler
    .ci/run full

# 200 tenants through two connections of PgBouncer while connections are killed, for a minute
pooler:
    VICKET_PGBOUNCER=$(.ci/pgbouncer/build) VICKET_POOLER_TENANTS=200 VICKET_POOLER_SECONDS=60 cargo test --test it -- --nocapture pooler::

# All tests; they find or get PostgreSQL by themselves
test:
    cargo test

# All of it on this machine, with demo data
dev *ARGS:
    cargo run -- dev {{ARGS}}

# Regenerate openapi/*.json; a failed build leaves them as they were
openapi:
    cargo run --quiet -- openapi support > openapi/new.json && mv openapi/new.json openapi/support.v1.json
    cargo run --quiet -- openapi agent > openapi/new.json && mv openapi/new.json openapi/agent.v1.json

# Regenerate the tables of calls in docs/api-endpoints.md, from the documents
docs:
    VICKET_BLESS=1 cargo test --test it the_committed_tables

# Regenerate what is generated of the front-end kit in src/scaffold/kit, from openapi/support.v1.json and its TypeScript
client:
    .ci/spec/check client

# Regenerate migrations/ISOLATION.md, migrations/SCHEMA.sql and src/audit/lints/shipped.sql
isolation:
    VICKET_BLESS=1 cargo test --test it generated::the_committed

# Keep what a release is upgraded from: a dump with rows and its server's statements, in tests/upgrade/VERSION
release-dump VERSION:
    VICKET_RELEASE_DUMP={{VERSION}} cargo test --test it what_a_release_is_kept_as

# squawk over the changes in migrations/; needs python3 with venv
squawk:
    .ci/migrations/check

# Licences, duplicates and sources of crates, and their advisories where the database is reached; needs python3 with venv
deny:
    .ci/packaging/check dependencies

# What the program is made of, as CycloneDX; needs python3 with venv
sbom FILE="target/vicket.cdx.json":
    .ci/packaging/check sbom {{FILE}}

# The image, units and manifests of packaging/, too; needs python3 with venv, systemd-analyze and groff
packaging:
    .ci/packaging/check

# What depends on the server's version, on PostgreSQL 15, 16, 17 and 18; needs node with npm
postgres-matrix *MAJORS:
    .ci/postgres/check {{MAJORS}}

# Whether the audit would notice whatever weakens the schema, and whether statements stay fast with many tenants
proofs:
    cargo run -p vicket-proofs -- mutate
    cargo run -p vicket-proofs -- plans

# The support page in a browser; needs node with npm, and Chromium
browser:
    cargo build && tests/browser/run

# What each page of the dashboard costs at 100,000 tickets; needs what `browser` needs
budgets:
    cargo build --release && VICKET_PROGRAM=$PWD/target/release/vicket tests/browser/run budgets.mjs

# The server beside hand-written SQL; needs pgbench and wrk
bench:
    cargo build --release && VICKET_PROGRAM=$PWD/target/release/vicket cargo bench --profile dev --bench compare

# What the server costs with many sites, articles and tickets, and what it holds by itself; needs wrk
bench-scale *part:
    cargo build --release && VICKET_PROGRAM=$PWD/target/release/vicket cargo bench --profile dev --bench compare -- scale {{part}}

# The OpenAPI documents under redocly and TypeScript
spec:
    .ci/spec/check lint && .ci/spec/check types

fmt:
    cargo fmt --all
