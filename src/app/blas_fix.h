/** @file blas_fix.h  Faster BLAS kernels where OpenBLAS does not know the CPU. */
#ifndef NTKLENS_APP_BLAS_FIX_H
#define NTKLENS_APP_BLAS_FIX_H

/** The option, without dashes, that every command takes. */
extern const char nl_blas_fix_option[];

/**
 * Where OpenBLAS fell back to kernels below the CPU's abilities, start the program anew with
 * OPENBLAS_CORETYPE set: it is read as the library loads.  Does not return then.  Once at most, not
 * where the user set that variable or gave --no-blas-fix; call it before MPI_Init and before
 * anything is written.
 */
void nl_blas_fix(int argc, char **argv);

#endif
