# Recipes are one-liners that work without `just`, too. `just --list` shows them.

# What CI runs; installs what it lacks
check:
    .ci/run

# All tests; PostgreSQL is found or downloaded
test:
    cargo test

# Everything on this machine: http://localhost:8080
dev *ARGS:
    cargo run -- dev {{ARGS}}

# Write the OpenAPI document anew; a failed build leaves it as it was
openapi:
    cargo run --quiet -- openapi support > openapi/new.json && mv openapi/new.json openapi/support.v1.json

# Write the report of the isolation anew: ISOLATION.md
isolation:
    VICKET_BLESS=1 cargo test --test it generated

# Compare with plain SQL under load
bench *ARGS:
    bench/run {{ARGS}}

# Lint the OpenAPI document and compile types made from it
spec:
    .ci/spec/check lint && .ci/spec/check types

# Fuzz a running `vicket dev --rate-limits off` with the first key of its dev.json
fuzz base="http://localhost:8080" dir=".vicket":
    .ci/spec/check fuzz {{base}} "$(grep -o 'pk_[A-Za-z0-9_-]*' {{dir}}/dev.json | head -n 1)"

fmt:
    cargo fmt
