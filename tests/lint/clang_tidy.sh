#!/bin/bash
# clang_tidy.sh BUILD: clang-tidy over every source in src, as .clang-tidy says; a finding fails.
set -euo pipefail

build=$1
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=tests/lint/common.sh
. tests/lint/common.sh
clang_tidy=$(find_llvm clang-tidy)

# The flags are those of the compiler at hand; what clang does not know of them is no finding.
find src -name '*.c' -print0 | sort -z |
    xargs -0 -n 1 -P 2 "$clang_tidy" --quiet -p "$build" --extra-arg=-Wno-unknown-warning-option
