/** @file launch.h  What the launcher tells in the environment, and start and end of MPI. */
#ifndef NTKLENS_APP_LAUNCH_H
#define NTKLENS_APP_LAUNCH_H

/** Rank in the job as the launcher tells it in the environment, 0 without a launcher: before
 *  MPI_Init, so that help and complaints come once. */
int nl_launched_rank(void);

/** MPI_Init with all the threads that par.h needs.  Ranks of one machine need no network, and Open
 *  MPI shall not look for one, which takes ten times as long as all else that it does at its start;
 *  OMPI_MCA_pml, if set, wins.  Neither does one process without mpirun need ssh or rsh; where
 * there is none, OMPI_MCA_plm is set unless it is.  Collective over the job. */
void nl_mpi_start(void);

/** MPI_Finalize, whose threads may outlast what it unloads.  Collective over the job. */
void nl_mpi_stop(void);

#endif
