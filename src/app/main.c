/** @file main.c  The program: finds the command and leaves the rest to it. */
#include "ntklens/base.h"

int main(void)
{
    puts("ntklens " NTKLENS_VERSION);
    return 0;
}
