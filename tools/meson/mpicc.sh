#!/bin/sh
# mpicc.sh FOLDER: which wrapper compiler tells where MPI is: $MPICC, what FOLDER remembers, or the
# mpicc of the PATH; nothing where there is none.  It is remembered as meson remembers CC: ninja may call
# meson again in another environment.
kept=$1/mpicc.txt
wrapper=${MPICC:-$(cat "$kept" 2>/dev/null || command -v mpicc)}
[ -z "$wrapper" ] || echo "$wrapper" | tee "$kept"
