#!/bin/sh
# sbatch --array=0-780 slurm-array.sh /shared/run: a task for each chunk, by SLURM_ARRAY_TASK_ID.
#SBATCH --cpus-per-task=2
#SBATCH --mem=4G
#SBATCH --requeue
exec npx florence2-batch run-chunk "$1"
