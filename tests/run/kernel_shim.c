/** @file kernel_shim.c  LD_PRELOAD: an OpenBLAS that does not know this CPU.
 *
 * It calls its kernels "Prescott" unless OPENBLAS_CORETYPE names others; where NTKLENS_STUBBORN is
 * set it does not heed that either. */
#include <stdlib.h>

char *openblas_get_corename(void);

char *openblas_get_corename(void)
{
    static char old[] = "Prescott";
    char *wanted = getenv("OPENBLAS_CORETYPE");

    return wanted != NULL && getenv("NTKLENS_STUBBORN") == NULL ? wanted : old;
}
