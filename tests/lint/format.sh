#!/bin/bash
# format.sh: is every C file as clang-format would write it?
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=tests/lint/common.sh
. tests/lint/common.sh
clang_format=$(find_llvm clang-format)

find include src tests -name '*.[ch]' -print0 | xargs -0 "$clang_format" --dry-run --Werror
