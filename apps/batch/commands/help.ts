export const HELP = `florence2-batch COMMAND: Florence-2 over any number of images, on any number of machines

  florence2-batch plan photos --recursive --task OD --out run
  florence2-batch work run                  computes it here; the same command goes on after a stop
  florence2-batch merge run --to merged     then: florence2 convert merged --format coco

Commands:
  plan INPUT... --task TASK --out OUT       lists images and divides them into chunks
  work [OUT]                                computes chunks: without --queue on this machine alone
  run-chunk OUT [N]                         computes one chunk, for programs that count themselves; without N
                                            JOB_COMPLETION_INDEX or SLURM_ARRAY_TASK_ID says which
  probe OUT N I,J                           prints the rows of some images of a chunk, which are counted from 0; work
                                            starts it for images at which a process died
  status OUT                                what is done, how fast, and what went wrong
  board --queue URL                         shows the queue in a browser on this machine, by bull-board
  errors OUT                                the images without an answer; --retry computes them again
  cancel OUT                                workers stop at this run; what is done stays
  resume OUT                                takes a cancellation back, and puts missing chunks into the queue
  merge OUT --to FOLDER                     one file of all results

INPUT: folders, files, patterns ("photos/**/*.jpg"), lists (.jsonl, .csv, .parquet, .txt), .tar files,
s3://bucket/prefix, http(s) URLs. OUT: a folder that all workers see, or s3://bucket/prefix.

plan:
  --task TASK            OD, CAPTION, OCR, ...
  --text TEXT            for tasks that take one; a column "text" of a list says it for each image
  --model MODEL          a folder or a repository (default: bundled)
  --revision NAME        branch, tag or commit of the repository (default: main)
  --dtype NAME           auto, f32, f16, q8 or q4 (default: auto)
  --unchecked            do not look whether the model is there: only the workers have it
  --num-beams N          hypotheses of beam search (default: the model's own)
  --max-new-tokens N     length of an answer at most
  --chunk N              images in a chunk, best 30 to 120 seconds of work (default: 128); auto tries sixteen images
                         on this machine, which should be like the workers, and takes a minute of work
  --format NAME          of the results: jsonl, jsonl.gz or parquet (default: jsonl)
  --recursive, -r        look into folders of folders too
  --column NAME          the column of a list that has the image (default: url, path, image, file)
  --queue URL            put the chunks into this queue as well
  --ahead N              chunks that wait in the queue at most (default: no limit)
  --priority N           1 is first; chunks without one go before all others

work:
  --queue URL            redis://, rediss:// or postgres://; without OUT for all runs, until it is stopped
  --device NAME          auto, gpu or cpu (default: auto)
  --threads N            of the CPU engine
  --shutdown-timeout T   how long a chunk may go on after SIGTERM (default: 25s)
  --lock-duration T      silence after which a worker counts as dead (default: 120s)
  --metrics-port N       GET /metrics for Prometheus on this port
  --image-urls NAME      hosts that images are fetched from: public, list, any (those of your own network too) or off
                         (default: public)
  --allowed-media-domains A,B   the hosts of list, such as img.example or *.example

board:
  --port N               where to, on 127.0.0.1 (default: 3000)

merge:
  --to FOLDER            where to
  --format NAME          answers (for florence2 convert), jsonl, jsonl.gz or parquet (default: answers)
  --partial              what is there, of a run that is not finished

  --json                 status and errors as JSON
  --quiet, -q            errors only
  --help, -h
`;
