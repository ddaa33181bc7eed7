# shellcheck shell=bash
# Sourced by the scripts here: find_llvm NAME prints the program of the LLVM release that the code was
# last brought in line with, or skips the test.  Other releases format and judge differently.
llvm_release=14

find_llvm() {
    local program
    for program in "$1-$llvm_release" "$1"; do
        if "$program" --version 2>/dev/null | grep -q "version $llvm_release\."; then
            echo "$program"
            return
        fi
    done
    echo "skipped: $1 $llvm_release is not installed (Debian 12: apt install $1)" >&2
    exit 77
}
