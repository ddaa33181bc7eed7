# What scripts in tools/ share: bench, check, quickstart, setup and slurm-sandbox.  Sourced by bash;
# build is called from the top of the repository.
# shellcheck shell=bash

say() { printf '%s\n' "$*"; }

die() { # CODE TEXT
    printf '%s: %s\n' "${0##*/}" "$2" >&2
    exit "$1"
}

# The comment block at the top of a script is its help.
print_help() { sed -n '2,/^$/{s/^# \{0,1\}//;p}' "$1"; }

# mpirun refuses to start as root, and to start more ranks than it sees cores.  In a container both
# are usual; there the kernel may also forbid the copies between processes that Open MPI tries first.
# (OMPI: up to Open MPI 4; PRTE: 5.)
prepare_mpi() {
    if [ "$(id -u)" -eq 0 ]; then
        export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
        export OMPI_MCA_btl_vader_single_copy_mechanism=none
    fi
    # Open MPI's PSM parts look 0.2 s for adapters of theirs, at every start.
    if ! compgen -G '/dev/ipath*' >/dev/null && ! compgen -G '/dev/hfi1*' >/dev/null; then
        export OMPI_MCA_mtl=${OMPI_MCA_mtl:-^psm,psm2,ofi}
    fi
    export OMPI_MCA_rmaps_base_oversubscribe=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
}

# build FOLDER [TARGET [MESON OPTION ...]]: configure once, then compile what changed.  The output is
# only shown where something fails.
build() {
    local folder=$1 target=${2:-all}
    local log=$folder/tools.log
    shift $(($# < 2 ? $# : 2))

    mkdir -p "$folder"
    if [ ! -f "$folder/build.ninja" ] && ! meson setup "$folder" "$@" >"$log" 2>&1; then
        tail -n 15 "$log" >&2
        die 1 "configuring failed; all of it is in $log"
    fi
    if ! ninja -C "$folder" "$target" >"$log" 2>&1; then
        grep -m 5 -A 5 -E 'error|FAILED' "$log" >&2 || tail -n 15 "$log" >&2
        die 1 "building failed; all of it is in $log"
    fi
}
